"""What a process and its descendants hold on the GPUs, sampled by NVIDIA's management library."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qmodel.worker.processes import tree

INTERVAL_SECONDS = 0.1


class Peak:
    """The most that was seen so far, over all GPUs."""

    bytes = 0


@contextmanager
def gpu_peak(pid: int) -> Iterator[Peak]:
    """Sample the GPU memory of a process tree, by its first process, while a block runs."""
    import pynvml  # noqa: PLC0415  only in the quantizer's environment

    peak, done = Peak(), threading.Event()

    def sample() -> None:
        while not done.wait(INTERVAL_SECONDS):
            peak.bytes = max(peak.bytes, _used(pynvml, tree(pid)))

    pynvml.nvmlInit()
    sampling = threading.Thread(target=sample, name="gpu-memory", daemon=True)
    sampling.start()
    try:
        yield peak
    finally:
        done.set()
        sampling.join()
        pynvml.nvmlShutdown()


def _used(library: Any, pids: set[int]) -> int:
    """Return what these processes hold on all GPUs."""
    handles = map(library.nvmlDeviceGetHandleByIndex, range(library.nvmlDeviceGetCount()))
    return sum(
        int(process.usedGpuMemory or 0)
        for handle in handles
        for process in library.nvmlDeviceGetComputeRunningProcesses(handle)
        if process.pid in pids
    )
