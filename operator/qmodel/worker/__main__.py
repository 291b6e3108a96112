"""`python -m qmodel.worker --task JSON`: one step of one model, in one container.

Each image holds the libraries of its own steps only, so a step's module is imported when it is
asked for.
"""

import argparse
import json
import os
import sys
from importlib import import_module
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from qmodel.worker.errors import TaskInvalid
from qmodel.worker.logs import log_json_lines
from qmodel.worker.progress import Progress
from qmodel.worker.report import Report
from qmodel.worker.task import Task
from qmodel.worker.termination import TERMINATION_LOG, answer

BLOCKS = {
    "inspect": "inspection",
    "fetch": "fetched",
    "quantize": "artifact",
    "evaluate": "evaluation",
    "measure": "footprint",
}
"""The step, which is a module of this package, and the report's block that it fills."""

ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_XET": "1",
    "TQDM_DISABLE": "1",
}
"""Read by libraries when they are imported: no request but those that we make, and no bars among
the lines of a log."""


def main(argv: list[str] | None = None) -> int:
    """Run the step that the task names; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m qmodel.worker", description=__doc__)
    parser.add_argument("--task", required=True, help="JSON of the task")
    parser.add_argument("--termination-log", type=Path, default=Path(TERMINATION_LOG))
    arguments = parser.parse_args(argv)
    log_json_lines()
    os.environ.update(ENVIRONMENT)
    return answer(_step(arguments.task), arguments.termination_log, lambda: run(arguments.task))


def run(text: str) -> Report:
    """Run the step of a task given as JSON; return its report."""
    task = _parsed(text)
    module = import_module(f"qmodel.worker.{task.step}")
    result = module.run(task, Progress(task.step))
    return Report.model_validate({"step": task.step, BLOCKS[task.step]: result})


def _parsed(text: str) -> Task:
    """Return the task, or say which field is wrong."""
    try:
        task: Task = TypeAdapter(Task).validate_json(text)
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, problem['loc'])) or 'task'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        message = "the task is not valid: " + "; ".join(problems)
        raise TaskInvalid(message) from error
    return task


def _step(text: str) -> str:
    """Return the step that a task names, however wrong the rest of it is."""
    try:
        step = json.loads(text).get("step")
    except (ValueError, AttributeError, RecursionError):
        return "unknown"
    return step if isinstance(step, str) and step in BLOCKS else "unknown"


if __name__ == "__main__":
    sys.exit(main())
