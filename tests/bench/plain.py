"""The worker's step `quantize` against plain scripts that call the same libraries.

`plain_scripts` holds what a person would write in a notebook, with the same settings. Both run in
turns in one container of the image that the Job has, on the same source and the same calibration
samples, which the worker drew before. Judged are the CPU seconds up to the end of saving, loading
and imports included, because the wall clock tells more of what else a machine does; and the peak
memory of all processes together. What the worker does after saving has no counterpart in a script,
and is a column of its own.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.methods import METHODS, MIB, SAMPLES, WIDTH, asked
from bench.script_pods import SCRIPTS, prepare, run
from bench.setting import namespace
from cluster import images
from e2e.kube import Object
from e2e.models import SMOLLM2, Models
from qmodel.api.methods import Backend
from qmodel.api.quantization import Quantization
from qmodel.planner.recipes import recipe
from qmodel.sizing.processors import LEAST_THREADS
from qmodel.worker.task import ARTIFACTS, CalibrationTask, QuantizeTask

MOST_RATIO = 1.05
ROUNDS = 2
"""The better of each side's runs counts: what disturbs a run only adds to it."""
FEW_LAYERS = "test/smollm2-3-layers"
SLOW = ("awq", "gptq", "autoawq")
"""Compared on three layers of the model."""
COMPARED = [name for name, wanted in METHODS.items() if wanted["method"] != "None"]
IMAGES = {
    Backend.AUTO_AWQ: ("autoawq", "autoawq"),
    Backend.BITS_AND_BYTES: ("quantizer", "bitsandbytes"),
    Backend.LLAMA_CPP: ("llamacpp-worker", "llamacpp"),
    Backend.LLM_COMPRESSOR: ("quantizer", "llmcompressor"),
}
"""Image and script of each library."""
DRAWN = f"{ARTIFACTS}/drawn"
COLUMNS = (
    "method", "CPU s", "by script", "ratio", "after", "s", "by script", "MiB", "by script", "ratio",
    "same bytes", "verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Best:
    """The least that one side took in any of its runs."""

    seconds: float
    cpu_seconds: float
    backend_seconds: float
    """CPU seconds up to the end of saving."""
    peak_bytes: int
    digests: frozenset[str]
    """Of the weights."""


@dataclass(frozen=True)
class Pair:
    """The worker beside the script."""

    worker: Best
    script: Best

    @property
    def cpu_ratio(self) -> float:
        return self.worker.backend_seconds / self.script.backend_seconds

    @property
    def memory_ratio(self) -> float:
        return self.worker.peak_bytes / self.script.peak_bytes

    @property
    def is_within(self) -> bool:
        return max(self.cpu_ratio, self.memory_ratio) <= MOST_RATIO


def main() -> int:
    """Print one line a method; return 1 if the worker takes more than it may."""
    console = Console(width=WIDTH)
    wanted = asked(COMPARED)
    found: dict[str, Pair] = {}
    with tempfile.TemporaryDirectory() as folder, _ready(Path(folder)) as (models, references):
        for name in wanted:
            found[name] = _compared(models, references, name)
            console.print(f"done: {', '.join(_row(name, found[name]))}")
    console.print(_table(found))
    return 0 if all(pair.is_within for pair in found.values()) else 1


@contextmanager
def _ready(folder: Path) -> Iterator[tuple[Models, dict[str, str]]]:
    """Give a namespace with the scripts, and with a claim that has sources and samples."""
    needed = {image for image, _ in IMAGES.values()}
    references = images.ensure(["test-hub", *sorted(needed)])
    with namespace(folder) as (models, _):
        sources = {"sources/whole": SMOLLM2, "sources/few-layers": FEW_LAYERS}
        prepare(models, references["test-hub"], sources)
        quantization = {"method": "INT8", "calibration": {"samples": SAMPLES}}
        task = _task(Quantization.model_validate(quantization), "whole", DRAWN, None)
        run(models, "draw", references["quantizer"], ["python", "-m", "qmodel.worker", *task])
        yield models, references


def _compared(models: Models, references: dict[str, str], name: str) -> Pair:
    """Run both sides of a method in turns."""
    quantization = Quantization.model_validate(METHODS[name])
    image, script = IMAGES[Backend(quantization.chosen_backend)]
    source = "few-layers" if name in SLOW else "whole"
    samples = f"{DRAWN}/calibration.jsonl"
    by_script, by_worker = f"{ARTIFACTS}/by-script", f"{ARTIFACTS}/by-worker"
    words = [name, f"{ARTIFACTS}/sources/{source}", by_script, samples]
    task = _task(quantization, source, f"{by_worker}/made", samples)
    sides = {
        "script": _side(by_script, "", [f"plain_{script}.py", *words]),
        "worker": _side(by_worker, "made", ["worker_step.py", *task]),
    }
    told = json.dumps({"rounds": ROUNDS, "sides": sides})
    command = ["python", f"{SCRIPTS}/alternate.py", told]
    log = run(models, name, references[image], command)
    runs = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return Pair(_best(runs, "worker"), _best(runs, "script"))


def _side(folder: str, made: str, command: list[str]) -> Object:
    script, *words = command
    words = ["python", f"{SCRIPTS}/{script}", *words]
    return {"folder": folder, "made": made, "command": words}


def _task(wanted: Quantization, source: str, directory: str, samples: str | None) -> list[str]:
    """Return the worker's arguments for a recipe, with the samples that were drawn before."""
    made = recipe(wanted)
    has_matrix = made.gguf is not None and made.gguf.importance_matrix
    if samples is not None and (has_matrix or made.calibration is not None):
        calibration = CalibrationTask(file=samples, samples=SAMPLES)
        made = made.model_copy(update={"calibration": calibration})
    task = QuantizeTask(
        source_directory=f"{ARTIFACTS}/sources/{source}",
        directory=directory,
        revision="bench",
        recipe=made,
        source_repository=SMOLLM2,
        source_revision="bench",
        threads=LEAST_THREADS,
    )
    text = task.model_dump_json(by_alias=True, exclude_none=True)
    return ["--task", text, "--termination-log", "/tmp/report.json"]


def _best(runs: list[Object], side: str) -> Best:
    """Return the best of one side's runs."""
    chosen = [run for run in runs if run["side"] == side]
    return Best(
        seconds=min(run["seconds"] for run in chosen),
        cpu_seconds=min(run["cpuSeconds"] for run in chosen),
        backend_seconds=min(run["backendSeconds"] for run in chosen),
        peak_bytes=min(run["peakBytes"] for run in chosen),
        digests=frozenset(run["weightDigest"] for run in chosen),
    )


def _table(found: dict[str, Pair]) -> Table:
    few = f"{', '.join(SLOW)} on three layers"
    table = Table(
        title="Quantizing SmolLM2-135M-Instruct: the worker beside a plain script",
        caption=f"{SAMPLES} samples, {LEAST_THREADS} threads, no GPU; {few}",
    )
    for title in COLUMNS:
        table.add_column(title, justify="right")
    for name, pair in found.items():
        table.add_row(*_row(name, pair))
    return table


def _row(name: str, pair: Pair) -> list[str]:
    worker, script = pair.worker, pair.script
    return [
        name,
        f"{worker.backend_seconds:.1f}",
        f"{script.backend_seconds:.1f}",
        f"{pair.cpu_ratio:.2f}",
        f"{worker.cpu_seconds - worker.backend_seconds:.1f}",
        f"{worker.seconds:.0f}",
        f"{script.seconds:.0f}",
        f"{worker.peak_bytes / MIB:.0f}",
        f"{script.peak_bytes / MIB:.0f}",
        f"{pair.memory_ratio:.2f}",
        "yes" if worker.digests == script.digests else "no",
        "within" if pair.is_within else "over",
    ]
