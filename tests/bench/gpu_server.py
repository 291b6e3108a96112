"""llama-server on a GPU: what each setting takes of host and device, and what arithmetic says."""

import sys
from pathlib import Path

from rich.table import Table

from bench.steps import run
from qmodel.api.methods import Method
from qmodel.api.serving import DType, Engine
from qmodel.engines import ENGINES, ServerSettings
from qmodel.sizing.load import Load
from qmodel.sizing.memory import MEMORY
from qmodel.worker.inspect import inspect
from qmodel.worker.report import Footprint, Inspection
from qmodel.worker.sources import open_source
from qmodel.worker.task import FolderSource, MeasureTask, QuantizeTask, Recipe

MIB = 2**20
LOADS = (Load(1024, 1), Load(4096, 1), Load(2048, 4), Load(1024, 16))
"""The first is carried to the others."""
THREADS = 4
COLUMNS = (
    "setting", "device", "predicted", "host", "predicted", "weights", "KV", "compute",
    "prompt/s", "tokens/s",
)  # fmt: skip


def table(model: Path, scratch: Path) -> Table:
    """Measure each setting of a folder's GGUF model; return a line each."""
    inspection = inspect(open_source(FolderSource(path=str(model))), Method.NONE)
    directory = _artifact(model, scratch)
    found = Table(title="llama-server on a GPU, all slots full, in MiB")
    for title in COLUMNS:
        found.add_column(title, justify="right")
    first: Footprint | None = None
    arithmetic = MEMORY[Engine.LLAMA_CPP]
    for load in LOADS:
        measured = _measured(inspection, load, directory, scratch)
        first = first or measured
        sizes = (
            measured.device_bytes,
            arithmetic.predict_device_bytes(first, inspection, load),
            measured.peak_bytes,
            arithmetic.predict_peak_bytes(first, inspection, load),
            measured.weights_bytes,
            measured.kv_bytes,
            measured.compute_bytes,
        )
        found.add_row(
            f"{load.concurrency} x {load.context_length}",
            *(f"{size / MIB:.0f}" for size in sizes),
            f"{measured.prompt_tokens_per_second:.0f}",
            f"{measured.tokens_per_second:.0f}",
        )
    return found


def _artifact(model: Path, scratch: Path) -> Path:
    """Return the folder that the step `quantize` makes of a source that is taken as it is."""
    directory = scratch / "artifacts" / "gguf"
    task = QuantizeTask(
        source_directory=str(model),
        directory=str(directory),
        revision=directory.name,
        recipe=Recipe(method=Method.NONE),
        source_repository="bench/gpu",
        source_revision="0",
        threads=THREADS,
    )
    run(sys.executable, task, scratch / "gguf")
    return directory


def _measured(inspection: Inspection, load: Load, directory: Path, scratch: Path) -> Footprint:
    """Return the footprint of the server that would be deployed for this load."""
    server = ENGINES[Engine.LLAMA_CPP]
    (model,) = directory.glob("*.gguf")
    settings = ServerSettings(
        model_path=str(model),
        alias="gpu",
        context_length=load.context_length,
        concurrency=load.concurrency,
        kv_bytes=MEMORY[Engine.LLAMA_CPP].kv_bytes(inspection, load),
        kv_type=None,
        dtype=DType.AUTO,
        gpus=1,
        tensor_parallel_size=1,
        threads=THREADS,
    )
    task = MeasureTask(
        engine=Engine.LLAMA_CPP,
        directory=str(directory),
        argv=server.server_argv(settings),
        port=server.port,
        context_length=load.context_length,
        concurrency=load.concurrency,
        arguments_hash=server.arguments_hash("bench", settings),
    )
    return Footprint.model_validate(run(sys.executable, task, scratch / "gguf").report["footprint"])
