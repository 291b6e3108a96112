"""What a server takes of its GPUs, by NVIDIA's management library.

vLLM's image brings the Python binding; where there is no GPU, nothing is asked and the answer is 0.
"""

import threading
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CONTROL_DEVICE = Path("/dev/nvidiactl")
"""There in each container that was given a GPU."""
INTERVAL_SECONDS = 0.1


class PeakDevice:
    """Samples the memory in use of all GPUs of this container while a block runs."""

    def __init__(self) -> None:
        self._library: Any = import_module("pynvml") if CONTROL_DEVICE.exists() else None
        self._before = self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="device", daemon=True)

    def __enter__(self) -> Self:
        """Start to sample."""
        if self._library is not None:
            self._library.nvmlInit()
            self._before = self._peak = self._used()
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
        if self._library is not None:
            self._thread.join()
            self._library.nvmlShutdown()

    def bytes(self) -> int:
        """Return the peak of all GPUs together, beyond what they held before."""
        return self._peak - self._before

    def _sample(self) -> None:
        while not self._done.wait(INTERVAL_SECONDS):
            self._peak = max(self._peak, self._used())

    def _used(self) -> int:
        """Return the memory in use on all GPUs."""
        library = self._library
        handles = map(library.nvmlDeviceGetHandleByIndex, range(library.nvmlDeviceGetCount()))
        return sum(int(library.nvmlDeviceGetMemoryInfo(handle).used) for handle in handles)
