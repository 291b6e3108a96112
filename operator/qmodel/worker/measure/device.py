"""What a server takes of its GPUs, by NVIDIA's management library.

vLLM's image brings the Python binding; where there is no GPU, nothing is asked and the answer is 0.
"""

from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qmodel.worker.peak import Peak

CONTROL_DEVICE = Path("/dev/nvidiactl")
"""There in each container that was given a GPU."""
INTERVAL_SECONDS = 0.1


class PeakDevice(Peak):
    """Samples the memory in use of all GPUs of this container while a block runs."""

    def __init__(self) -> None:
        super().__init__(self._used, INTERVAL_SECONDS)
        self._library: Any = import_module("pynvml") if CONTROL_DEVICE.exists() else None
        self._before = 0

    def __enter__(self) -> Self:
        """Start to sample, if there is a GPU."""
        if self._library is None:
            return self
        self._library.nvmlInit()
        self._before = self.highest = self._used()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to sample."""
        if self._library is not None:
            super().__exit__(kind, error, trace)
            self._library.nvmlShutdown()

    def bytes(self) -> int:
        """Return the peak of all GPUs together, beyond what they held before."""
        return self.highest - self._before

    def _used(self) -> int:
        """Return the memory in use on all GPUs."""
        library = self._library
        handles = map(library.nvmlDeviceGetHandleByIndex, range(library.nvmlDeviceGetCount()))
        return sum(int(library.nvmlDeviceGetMemoryInfo(handle).used) for handle in handles)
