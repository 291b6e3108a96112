"""What a server takes of its GPUs, by NVIDIA's management library.

vLLM's image brings the Python binding; where there is no GPU, nothing is asked and the answer is 0.
"""

from importlib import import_module
from itertools import chain
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
        self._devices: list[Any] = []

    def __enter__(self) -> Self:
        """Start to sample, if there is a GPU."""
        if self._library is None:
            return self
        self._library.nvmlInit()
        self._devices = self._found()
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
        return sum(map(self._used_on, self._devices))

    def _used_on(self, device: Any) -> int:
        return int(self._library.nvmlDeviceGetMemoryInfo(device).used)

    def _found(self) -> list[Any]:
        """Return what this container was given: whole GPUs, and parts of those that MIG splits.

        Where no part can be read the whole ones are returned, which fails: without them nothing
        would be measured.
        """
        library = self._library
        whole = [library.nvmlDeviceGetHandleByIndex(i) for i in range(library.nvmlDeviceGetCount())]
        parted = (self._parts(gpu) if self._is_split(gpu) else [gpu] for gpu in whole)
        return list(chain.from_iterable(parted)) or whole

    def _is_split(self, gpu: Any) -> bool:
        """Whether MIG splits a GPU; many cannot be split, and old drivers do not know of it."""
        library = self._library
        try:
            current, _ = library.nvmlDeviceGetMigMode(gpu)
        except (library.NVMLError_NotSupported, library.NVMLError_FunctionNotFound):
            return False
        return bool(current == library.NVML_DEVICE_MIG_ENABLE)

    def _parts(self, gpu: Any) -> list[Any]:
        """Return the parts of a split GPU whose memory can be read.

        Of others, as of the whole GPU, a container is not told.
        """
        library, parts = self._library, []
        for index in range(library.nvmlDeviceGetMaxMigDeviceCount(gpu)):
            try:
                part = library.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)
                self._used_on(part)
            except (library.NVMLError_NotFound, library.NVMLError_NoPermission):
                continue
            parts.append(part)
        return parts
