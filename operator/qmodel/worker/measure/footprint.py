"""Starts the server as it will be served, loads it fully and reads what it takes, in parts."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from qmodel.api.serving import Engine
from qmodel.worker.manifest import check_sizes
from qmodel.worker.measure.device import PeakDevice
from qmodel.worker.measure.engine import MeasuredEngine, Peaks
from qmodel.worker.measure.llamacpp import LlamaCpp
from qmodel.worker.measure.load import Speeds, fill, first_token_seconds
from qmodel.worker.measure.memory import PeakMemory
from qmodel.worker.measure.server import Server
from qmodel.worker.measure.vllm import VLLM
from qmodel.worker.progress import Progress
from qmodel.worker.report import Footprint
from qmodel.worker.task import MeasureTask

ENGINES: dict[Engine, type[LlamaCpp | VLLM]] = {Engine.LLAMA_CPP: LlamaCpp, Engine.VLLM: VLLM}


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
    engine: MeasuredEngine = ENGINES[task.engine](task)
    version = engine.version()
    evict(Path(task.directory))
    loading = progress.part(0.0, 0.3)
    with (
        # Left last: a request that hangs ends with the server.
        ThreadPoolExecutor(task.concurrency + 1, "stream") as pool,
        PeakDevice() as device,
        Server(engine.argv, task.port, engine) as server,
        PeakMemory(server.pid) as memory,
    ):
        # The time that loading will take is not known: half of what is left, again and again.
        load_seconds = server.wait_until_ready(
            lambda waited: loading.at(waited / (waited + 10.0), "loading the model")
        )
        start, ready, processes = memory.bytes(), memory.now(), memory.processes()
        first_token = first_token_seconds(server, engine.model_name(), chats=task.chats)
        speeds = fill(server, engine, task, pool, progress.part(0.3, 1.0))
        peaks = Peaks(start, ready, memory.bytes(), device.bytes(), processes)
    times = (load_seconds, first_token, time.monotonic() - started)
    return _footprint(task, engine, peaks, speeds, times, version)


def _footprint(
    task: MeasureTask,
    engine: MeasuredEngine,
    peaks: Peaks,
    speeds: Speeds,
    times: tuple[float, float, float],
    version: str,
) -> Footprint:
    """Return what was measured; times are those of loading, the first token and the whole step."""
    parts = engine.parts(peaks)
    load_seconds, first_token_seconds, seconds = (round(each, 3) for each in times)
    return Footprint(
        context_length=task.context_length,
        concurrency=task.concurrency,
        weights_bytes=parts.weights,
        kv_bytes=parts.kv,
        compute_bytes=parts.compute,
        other_bytes=parts.other,
        peak_bytes=peaks.peak,
        start_peak_bytes=peaks.start,
        processes=peaks.processes,
        device_bytes=parts.device,
        kv_bytes_per_token=parts.kv_per_token,
        load_seconds=load_seconds,
        first_token_seconds=first_token_seconds,
        prompt_tokens_per_second=round(speeds.prompt_tokens_per_second, 2),
        tokens_per_second=round(speeds.tokens_per_second, 2),
        engine_version=version,
        seconds=seconds,
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
