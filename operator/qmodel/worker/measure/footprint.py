"""Starts the server as it will be served, loads it fully and reads what it takes, in parts."""

import os
import time
from pathlib import Path

from qmodel.worker.manifest import check_sizes
from qmodel.worker.measure.load import fill, first_token_seconds
from qmodel.worker.measure.memory import PeakMemory
from qmodel.worker.measure.server import Server, engine_version
from qmodel.worker.progress import Progress
from qmodel.worker.report import Footprint
from qmodel.worker.task import MeasureTask


def run(task: MeasureTask, progress: Progress) -> Footprint:
    """Return the footprint of one server under full load.

    Raises
    ------
    ArtifactDamaged
        If a file of the artifact is missing or has another size.
    OutOfMemory, EngineFailed
        If the server dies; the message ends with its last lines.
    """
    started = time.monotonic()
    version = engine_version(task.argv[0])
    evict(Path(task.directory))
    loading = progress.part(0.0, 0.3)
    with Server(task.argv, task.port) as server, PeakMemory(server.pid) as memory:
        # The time that loading will take is not known: half of what is left, again and again.
        load_seconds = server.wait_until_ready(
            lambda waited: loading.at(waited / (waited + 10.0), "loading the model")
        )
        first_token = first_token_seconds(server)
        speeds = fill(server, task.context_length, task.concurrency, progress.part(0.3, 1.0))
        peak = memory.bytes()
    buffers = server.buffers
    return Footprint(
        arguments_hash=task.arguments_hash,
        context_length=task.context_length,
        concurrency=task.concurrency,
        weights_bytes=buffers.weights,
        kv_bytes=buffers.kv,
        compute_bytes=buffers.compute,
        other_bytes=max(peak - buffers.host, 0),
        peak_bytes=peak,
        device_bytes=buffers.device,
        kv_bytes_per_token=buffers.kv_bytes_per_token(task.context_length),
        load_seconds=round(load_seconds, 3),
        first_token_seconds=round(first_token, 3),
        prompt_tokens_per_second=round(speeds.prompt_tokens_per_second, 2),
        tokens_per_second=round(speeds.tokens_per_second, 2),
        engine_version=version,
        seconds=round(time.monotonic() - started, 3),
    )


def evict(directory: Path) -> None:
    """Drop the artifact from the page cache.

    Cached pages may be charged to another container, and a load from memory would make the load
    time look shorter than a fresh node's.
    """
    for file in check_sizes(directory).files:
        descriptor = os.open(directory / file.path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
