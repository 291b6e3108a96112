"""How much memory the server needs: anonymous, shared and kernel memory at its highest.

File pages are left out, since the kernel takes them back, and so is a cgroup's own high-water
mark, which counts them: it says up to half as much again as a limit has to be.
"""

import os
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

INTERVAL_SECONDS = 0.02
V1_MEMORY = Path("/sys/fs/cgroup/memory")
V2_MEMORY = Path("/sys/fs/cgroup")

Reader = Callable[[], int]


class PeakMemory:
    """Samples a server's memory while a block runs.

    Parameters
    ----------
    pid
        The server's process.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._read = cgroup_reader(pid) or (lambda: process_bytes(pid))
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory", daemon=True)

    def __enter__(self) -> Self:
        """Start to sample."""
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

    def bytes(self) -> int:
        """Return the peak; the server must still be alive.

        What falls between two samples is caught by the kernel's own mark of the process.
        """
        return max(self._peak, high_water_bytes(self._pid))

    def _sample(self) -> None:
        while not self._done.wait(INTERVAL_SECONDS):
            try:
                self._peak = max(self._peak, self._read())
            except OSError:  # the process ended: its exit status tells the rest
                return


def cgroup_reader(pid: int) -> Reader | None:
    """Return a reader of this container's cgroup less this process, or None.

    None where the cgroup holds other processes, as on a machine that is no container.
    """
    for folder, read in ((V1_MEMORY, v1_bytes), (V2_MEMORY, v2_bytes)):
        if (folder / "memory.stat").exists() and _members(folder) == {os.getpid(), pid}:
            return lambda: read(folder) - process_bytes(os.getpid())
    return None


def v1_bytes(folder: Path) -> int:
    """Return anonymous, shared and kernel memory of a cgroup of version 1."""
    stat = fields(folder / "memory.stat")
    kernel = int((folder / "memory.kmem.usage_in_bytes").read_text())
    return stat["rss"] + stat.get("shmem", 0) + kernel


def v2_bytes(folder: Path) -> int:
    """Return anonymous, shared and kernel memory of a cgroup of version 2."""
    stat = fields(folder / "memory.stat")
    # `kernel` sums its parts since Linux 5.18.
    parts = (stat.get(name, 0) for name in ("slab", "kernel_stack", "pagetables", "percpu", "sock"))
    return stat["anon"] + stat["shmem"] + stat.get("kernel", sum(parts))


def process_bytes(pid: int) -> int:
    """Return anonymous, shared and page-table memory of one process."""
    status = _status(pid)
    return status["RssAnon"] + status["RssShmem"] + status["VmPTE"]


def high_water_bytes(pid: int) -> int:
    """Return the most that a process ever held, less the file pages that it holds now."""
    status = _status(pid)
    return status["VmHWM"] - status["RssFile"] + status["VmPTE"]


def fields(path: Path) -> dict[str, int]:
    """Return the `name value` lines of a cgroup file."""
    pairs = (line.split() for line in path.read_text().splitlines())
    return {name: int(value) for name, value in pairs}


def out_of_memory_kills() -> int:
    """Return how many processes of this container were killed for memory."""
    for path in (V2_MEMORY / "memory.events", V1_MEMORY / "memory.oom_control"):
        if path.exists():
            return fields(path).get("oom_kill", 0)
    return 0


def _members(folder: Path) -> set[int]:
    """Return the processes of a cgroup."""
    path = folder / "cgroup.procs"
    return set(map(int, path.read_text().split())) if path.exists() else set()


def _status(pid: int) -> dict[str, int]:
    """Return the sizes in /proc/PID/status, in bytes; a process that ended has none."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    sizes = (line.removesuffix(" kB").split(":") for line in lines if line.endswith(" kB"))
    return defaultdict(int, {name: int(value) * 1024 for name, value in sizes})
