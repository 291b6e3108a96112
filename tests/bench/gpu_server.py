"""A server on a GPU: what each setting takes of host and device, and what arithmetic says."""

import os
import sys
from dataclasses import dataclass
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
    "prompt/s", "tokens/s", "loaded in s",
)  # fmt: skip


@dataclass(frozen=True)
class Served:
    """An artifact and the engine that serves it."""

    engine: Engine
    inspection: Inspection
    directory: Path
    interpreter: str
    """A Python of the server's image, first of its name where the server looks for programs."""

    def settings(self, load: Load) -> ServerSettings:
        """Return what the server would be deployed with for this load."""
        models = list(self.directory.glob("*.gguf"))
        return ServerSettings(
            model_path=str(models[0] if models else self.directory),
            alias="gpu",
            context_length=load.context_length,
            concurrency=load.concurrency,
            kv_bytes=MEMORY[self.engine].kv_bytes(self.inspection, load),
            kv_type=None,
            dtype=DType.AUTO,
            gpus=1,
            tensor_parallel_size=1,
            threads=THREADS,
        )

    def environment(self, load: Load) -> dict[str, str]:
        """Return the variables of the server's container, on top of this process's."""
        programs = f"{Path(self.interpreter).parent}:{os.environ['PATH']}"
        told = ENGINES[self.engine].environment(self.settings(load))
        return {**os.environ, "PATH": programs, **told}


def served(model: Path, scratch: Path, interpreter: str) -> Served:
    """Return a folder's model as an artifact that is taken as it is."""
    inspection = inspect(open_source(FolderSource(path=str(model))), Method.NONE)
    directory = scratch / "artifacts" / model.name
    task = QuantizeTask(
        source_directory=str(model),
        directory=str(directory),
        revision=directory.name,
        recipe=Recipe(method=Method.NONE),
        source_repository="bench/gpu",
        source_revision="0",
        threads=THREADS,
    )
    run(sys.executable, task, scratch / model.name)
    if any(directory.glob("*.gguf")):
        return Served(Engine.LLAMA_CPP, inspection, directory, sys.executable)
    return Served(Engine.VLLM, inspection, directory, interpreter)


def table(model: Path, scratch: Path, interpreter: str) -> Table:
    """Measure each setting of a folder's model; return a line each."""
    found = Table(title=f"{model.name} served on a GPU, all slots full, in MiB")
    for title in COLUMNS:
        found.add_column(title, justify="right")
    chosen = served(model, scratch, interpreter)
    arithmetic = MEMORY[chosen.engine]
    first: Footprint | None = None
    for load in LOADS:
        measured = _measured(chosen, load, scratch / model.name)
        first = first or measured
        sizes = (
            measured.device_bytes,
            arithmetic.predict_device_bytes(first, chosen.inspection, load),
            measured.peak_bytes,
            arithmetic.predict_peak_bytes(first, chosen.inspection, load),
            measured.weights_bytes,
            measured.kv_bytes,
            measured.compute_bytes,
        )
        cells = (
            f"{load.concurrency} x {load.context_length}",
            *(f"{size / MIB:.0f}" for size in sizes),
            f"{measured.prompt_tokens_per_second:.0f}",
            f"{measured.tokens_per_second:.0f}",
            f"{measured.load_seconds:.0f}",
        )
        print(*cells, flush=True)
        found.add_row(*cells)
    return found


def _measured(chosen: Served, load: Load, scratch: Path) -> Footprint:
    """Return the footprint of the server that would be deployed for this load."""
    server, settings = ENGINES[chosen.engine], chosen.settings(load)
    task = MeasureTask(
        engine=chosen.engine,
        directory=str(chosen.directory),
        argv=server.server_argv(settings),
        port=server.port,
        context_length=load.context_length,
        concurrency=load.concurrency,
    )
    step = run(chosen.interpreter, task, scratch, chosen.environment(load))
    return Footprint.model_validate(step.report["footprint"])
