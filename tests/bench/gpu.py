"""The worker's steps on a GPU, without a cluster: time, memory of host and GPU, quality.

Runs the very steps that Jobs run, as processes of an interpreter that has the libraries of
images/quantizer (for AutoAWQ and AutoGPTQ those of images/legacy) and a CUDA build of torch. What
is to be served is a GGUF file, by llama-server, which has to be on the path, built with
GGML_CUDA=ON, or a checkpoint, by vLLM, of which a Python has to be named.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import gpu_answers, gpu_server
from bench.steps import StepFailedError, run
from qmodel.api.methods import Backend
from qmodel.api.quantization import Quantization
from qmodel.planner.recipes import recipe
from qmodel.worker.report import Artifact, Evaluation
from qmodel.worker.task import EvaluateTask, QuantizeTask, Recipe

MIB = 2**20
THREADS = 4
LEGACY = (Backend.AUTO_AWQ, Backend.AUTO_GPTQ)
COLUMNS = (
    "method", "seconds", "host MiB", "GPU MiB", "weights MB", "ratio", "KL", "agreement",
    "judged in s", "GPU MiB",
)  # fmt: skip


def methods(group: int) -> dict[str, dict[str, Any]]:
    """Return `spec.quantization` of each method, with groups that divide the model's widths."""
    groups = {"groupSize": group}
    auto_gptq = {"bits": 4, "symmetric": True, **groups}
    return {
        "gptq": {"method": "GPTQ", "gptq": groups},
        "awq": {"method": "AWQ", "awq": groups},
        "fp8": {"method": "FP8"},
        "int8": {"method": "INT8"},
        "nvfp4": {"method": "NVFP4"},
        "mxfp4": {"method": "MXFP4"},
        "nf4": {"method": "BitsAndBytes"},
        "bnb-int8": {"method": "BitsAndBytes", "bitsAndBytes": {"type": "INT8"}},
        "autoawq": {"method": "AWQ", "backend": "AutoAWQ", "awq": groups},
        "autogptq": {"method": "GPTQ", "backend": "AutoGPTQ", "gptq": auto_gptq},
        "autogptq-order": {
            "method": "GPTQ",
            "backend": "AutoGPTQ",
            "gptq": {**auto_gptq, "descActOrder": True},
        },
    }


def main() -> int:
    """Print a line a method; return 1 if a step of one fails."""
    chosen = _arguments()
    console = Console(width=140)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for model in chosen.serve:
            console.print(gpu_server.table(model, scratch, chosen.server_python))
        if chosen.ask:
            places = (chosen.model, chosen.ask, scratch, chosen.server_python, chosen.parallel)
            return gpu_answers.show(*places, console)
        if chosen.model is None:
            return 0
        failures = dict(_made(chosen, chosen.artifacts or scratch, console))
    for name, error in failures.items():
        console.print(f"{name} failed: {error}", soft_wrap=True, markup=False)
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/bench gpu", description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, help="folder of an unquantized checkpoint")
    parser.add_argument("--artifacts", type=Path, help="folder that keeps what is made")
    parser.add_argument("--serve", nargs="+", type=Path, default=[], help="folders to measure")
    parser.add_argument("--ask", nargs="+", type=Path, default=[], help="artifacts of the model")
    parser.add_argument("--only", nargs="+", default=None, help="methods")
    parser.add_argument("--group", type=int, default=64, help="weights of a group")
    parser.add_argument("--samples", type=int, default=128, help="calibration samples")
    parser.add_argument("--parallel", type=int, default=1, help="methods at once")
    parser.add_argument("--unjudged", action="store_true", help="do not evaluate")
    parser.add_argument("--legacy-python", default=sys.executable, help="with images/legacy")
    parser.add_argument("--server-python", default=sys.executable, help="with vLLM")
    chosen = parser.parse_args()
    if chosen.ask and chosen.model is None:
        parser.error("--ask needs the model that the artifacts were made of")
    return chosen


def _made(
    chosen: argparse.Namespace, folder: Path, console: Console
) -> Iterator[tuple[str, Exception]]:
    """Run all methods, print their table and yield what failed."""
    table = Table(title="Quantized on a GPU")
    for title in COLUMNS:
        table.add_column(title, justify="right")
    known = methods(chosen.group)
    with ThreadPoolExecutor(chosen.parallel) as pool:
        runs = {
            name: pool.submit(_row, chosen, folder, name, known[name])
            for name in chosen.only or known
        }
        for name, run in runs.items():
            if (error := run.exception()) is None:
                cells = run.result()
                table.add_row(name, *cells)
                console.print(f"{name}: {' '.join(cells)}")
            elif isinstance(error, StepFailedError):
                yield name, error
            else:
                raise error
    console.print(table)


def _row(
    chosen: argparse.Namespace, folder: Path, name: str, quantization: dict[str, Any]
) -> list[str]:
    """Make one artifact, judge it and return its cells."""
    made = recipe(Quantization.model_validate(quantization))
    if made.calibration is not None:
        fewer = made.calibration.model_copy(update={"samples": chosen.samples})
        made = made.model_copy(update={"calibration": fewer})
    interpreter = chosen.legacy_python if made.backend in LEGACY else sys.executable
    directory = folder / "artifacts" / name
    quantized = run(interpreter, _quantize_task(chosen.model, directory, made), folder / name)
    artifact = Artifact.model_validate(quantized.report["artifact"])
    cells = [
        f"{artifact.seconds:.0f}",
        f"{artifact.peak_bytes / MIB:.0f}",
        f"{quantized.gpu_bytes / MIB:.0f}",
        f"{artifact.weight_bytes / 1e6:.0f}",
    ]
    if chosen.unjudged:
        return cells
    task = EvaluateTask(
        source_directory=str(chosen.model), directory=str(directory), threads=THREADS
    )
    judged = run(sys.executable, task, folder / name)
    found = Evaluation.model_validate(judged.report["evaluation"])
    return [
        *cells,
        f"{found.perplexity_ratio:.4f}",
        f"{found.mean_kl_divergence:.4f}",
        f"{found.top_token_agreement:.4f}",
        f"{found.seconds:.0f}",
        f"{judged.gpu_bytes / MIB:.0f}",
    ]


def _quantize_task(model: Path, directory: Path, made: Recipe) -> QuantizeTask:
    return QuantizeTask(
        source_directory=str(model),
        directory=str(directory),
        revision=directory.name,
        recipe=made,
        source_repository="bench/gpu",
        source_revision="0",
        threads=THREADS,
    )


if __name__ == "__main__":
    sys.exit(main())
