"""The two steps that read a source, run as their Jobs run them."""

import os
from io import StringIO
from pathlib import Path

from qmodel.api.methods import Method
from qmodel.worker import fetch, inspect
from qmodel.worker.progress import Progress
from qmodel.worker.report import Fetched, Inspection
from qmodel.worker.task import FetchTask, InspectTask, SourceTask
from unit.worker.sparse_models import (
    LLAMA,
    gguf_metadata,
    gguf_shapes,
    llama_shapes,
    write_gguf,
    write_model,
)

WEIGHTS = "model.safetensors"
WIDE = LLAMA | {"vocab_size": 40_000}


def write_random_model(folder: Path) -> Path:
    """Write a Llama of 5 MB whose bytes are not all the same."""
    write_model(folder, WIDE, llama_shapes(WIDE))
    with (folder / WEIGHTS).open("r+b") as file:
        file.seek(1 << 20)
        file.write(os.urandom(3 << 20))
    return folder


def write_tiny_gguf(path: Path) -> Path:
    """Write a GGUF file that can be inspected."""
    write_gguf(path, gguf_metadata(), gguf_shapes())
    return path


def look(source: SourceTask, method: Method = Method.GGUF) -> Inspection:
    """Inspect."""
    return inspect.run(InspectTask(source=source, method=method), Progress("inspect", StringIO()))


def bring(source: SourceTask, found: Inspection, target: Path) -> Fetched:
    """Fetch what was inspected."""
    task = FetchTask(source=source, source_revision=found.source_revision, directory=str(target))
    return fetch.run(task, Progress("fetch", StringIO()))
