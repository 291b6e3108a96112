"""What a server takes of its GPUs; NVIDIA's library is faked at the calls that are made of it."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cluster.commands import wait_until
from qmodel.worker.measure import device
from qmodel.worker.measure.device import PeakDevice

GIB = 2**30
SAMPLED_SECONDS = 10


class NotSupportedError(Exception):
    """As NVML's: a GPU that cannot be split."""


class NoPermissionError(Exception):
    """As NVML's: what the container was not given."""


class NotFoundError(Exception):
    """As NVML's: no part of that index."""


class FunctionNotFoundError(Exception):
    """As NVML's: a driver that does not know of parts."""


class FakeNVML:
    """GPUs by their bytes in use, or by those of their parts; None may not be read."""

    NVML_DEVICE_MIG_ENABLE = 1
    NVMLError_NotSupported = NotSupportedError
    NVMLError_NoPermission = NoPermissionError
    NVMLError_NotFound = NotFoundError
    NVMLError_FunctionNotFound = FunctionNotFoundError

    def __init__(self, gpus: list[int | list[int | None]], unsplit: type[Exception] | None) -> None:
        self.gpus, self._unsplit = gpus, unsplit

    def nvmlInit(self) -> None: ...  # noqa: N802  the library's name, as are the next ones

    def nvmlShutdown(self) -> None: ...  # noqa: N802

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> tuple[int, ...]:  # noqa: N802
        return (index,)

    def nvmlDeviceGetMigMode(self, gpu: tuple[int, ...]) -> list[int]:  # noqa: N802
        split = isinstance(self.gpus[gpu[0]], list)
        if not split and self._unsplit:
            raise self._unsplit
        return [int(split), int(split)]

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: tuple[int, ...]) -> int:  # noqa: N802
        assert isinstance(self.gpus[gpu[0]], list)
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(  # noqa: N802
        self, gpu: tuple[int, ...], index: int
    ) -> tuple[int, ...]:
        parts = self.gpus[gpu[0]]
        assert isinstance(parts, list)
        if index >= len(parts):
            raise NotFoundError
        return (*gpu, index)

    def nvmlDeviceGetMemoryInfo(self, place: tuple[int, ...]) -> SimpleNamespace:  # noqa: N802
        found = self.gpus[place[0]]
        used = found[place[1]] if isinstance(found, list) and len(place) > 1 else found
        if not isinstance(used, int):
            raise NoPermissionError
        return SimpleNamespace(used=used)


@pytest.fixture(autouse=True)
def _has_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(device, "CONTROL_DEVICE", tmp_path)
    monkeypatch.setattr(device, "INTERVAL_SECONDS", 0.001)


def install(
    monkeypatch: pytest.MonkeyPatch,
    *gpus: int | list[int | None],
    unsplit: type[Exception] | None = NotSupportedError,
) -> FakeNVML:
    library = FakeNVML(list(gpus), unsplit)
    monkeypatch.setitem(sys.modules, "pynvml", library)
    return library


@pytest.mark.parametrize("unsplit", [None, NotSupportedError, FunctionNotFoundError])
def test_all_gpus_count_beyond_what_they_held_before(
    monkeypatch: pytest.MonkeyPatch, unsplit: type[Exception] | None
) -> None:
    library = install(monkeypatch, GIB, GIB, unsplit=unsplit)
    with PeakDevice() as peak:
        library.gpus[:] = [3 * GIB, 2 * GIB]
        assert wait_for(peak) == 3 * GIB
    assert peak.bytes() == 3 * GIB


def test_of_a_gpu_that_is_split_the_parts_count_that_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = install(monkeypatch, [None, GIB, 0], GIB)
    with PeakDevice() as peak:
        library.gpus[:] = [[None, 2 * GIB, 3 * GIB], GIB]
        assert wait_for(peak) == 4 * GIB
    assert peak.bytes() == 4 * GIB


def test_a_split_gpu_without_a_part_to_read_is_no_measurement_of_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, [None])
    with pytest.raises(NoPermissionError), PeakDevice():
        pass


def wait_for(peak: PeakDevice) -> int:
    """Return the peak once something was sampled beyond the start."""
    wait_until("memory was sampled", peak.bytes, SAMPLED_SECONDS)
    return peak.bytes()
