"""What a process and its descendants hold on the GPUs, sampled by NVIDIA's management library."""

import threading
from types import TracebackType
from typing import Any, Self

from qmodel.worker.processes import tree

INTERVAL_SECONDS = 0.1


class ProcessPeak:
    """The most GPU memory that a process tree held while a block ran.

    Parameters
    ----------
    pid
        The tree's first process.
    """

    def __init__(self, pid: int) -> None:
        import pynvml  # noqa: PLC0415  only in the quantizer's environment

        self._library: Any = pynvml
        self._pid = pid
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="gpu-memory", daemon=True)

    def __enter__(self) -> Self:
        """Start to sample."""
        self._library.nvmlInit()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to sample."""
        self._done.set()
        self._thread.join()
        self._library.nvmlShutdown()

    def bytes(self) -> int:
        """Return the peak over all GPUs."""
        return self._peak

    def _sample(self) -> None:
        while not self._done.wait(INTERVAL_SECONDS):
            self._peak = max(self._peak, self._used())

    def _used(self) -> int:
        library, pids = self._library, tree(self._pid)
        handles = map(library.nvmlDeviceGetHandleByIndex, range(library.nvmlDeviceGetCount()))
        return sum(
            int(process.usedGpuMemory or 0)
            for handle in handles
            for process in library.nvmlDeviceGetComputeRunningProcesses(handle)
            if process.pid in pids
        )
