"""What a process and its descendants hold on the GPUs, sampled by NVIDIA's management library."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qmodel.worker.peak import Peak
from qmodel.worker.processes import tree

INTERVAL_SECONDS = 0.1


@contextmanager
def gpu_peak(pid: int) -> Iterator[Peak]:
    """Sample the GPU memory of a process tree, by its first process, while a block runs."""
    import pynvml  # noqa: PLC0415  only in the quantizer's environment

    pynvml.nvmlInit()
    try:
        with Peak(lambda: _used(pynvml, tree(pid)), INTERVAL_SECONDS) as peak:
            yield peak
    finally:
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
