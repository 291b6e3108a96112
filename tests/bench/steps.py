"""Steps of the worker as processes of this machine, each with its report and its GPU memory."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.gpu_memory import gpu_peak
from qmodel.worker.task import EvaluateTask, MeasureTask, QuantizeTask

STEP_SECONDS = 1800
LAST_LINES = 12


@dataclass(frozen=True)
class Step:
    """What became of one step."""

    report: dict[str, Any]
    gpu_bytes: int


class StepFailedError(Exception):
    """A step reported an error, or nothing at all."""


def run(
    interpreter: str,
    task: QuantizeTask | EvaluateTask | MeasureTask,
    scratch: Path,
    environment: dict[str, str] | None = None,
) -> Step:
    """Run a step with an interpreter that has its libraries.

    Parameters
    ----------
    interpreter
        Path of a Python.
    task
        What the step is told.
    scratch
        Folder for its log and its report.
    environment
        All variables of the process; by default those of this one.

    Raises
    ------
    StepFailedError
        If it reports a failure, or ends without a report.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    answer, log = scratch / f"{task.step}.json", scratch / f"{task.step}.log"
    answer.unlink(missing_ok=True)
    told = task.model_dump_json(by_alias=True, exclude_none=True)
    command = [interpreter, "-m", "qmodel.worker", "--task", told, "--termination-log", str(answer)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=environment) as process,
        gpu_peak(process.pid) as peak,
    ):
        process.wait(STEP_SECONDS)
    if process.returncode or not answer.exists():
        last = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
        message = f"{task.step} ended with status {process.returncode}:\n{last}"
        raise StepFailedError(message)
    return Step(json.loads(answer.read_text()), peak.highest)
