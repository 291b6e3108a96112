"""How much memory the server needs: anonymous, shared and kernel memory at its highest.

File pages are left out, since the kernel takes them back, and so is a cgroup's own high-water
mark, which counts them: it says up to half as much again as a limit has to be.
"""

import os
from collections.abc import Callable
from pathlib import Path

from qmodel.worker.peak import Peak
from qmodel.worker.processes import (
    high_water_bytes,
    name,
    own_bytes,
    private_bytes,
    shared_bytes,
    tree,
)
from qmodel.worker.report import ProcessMemory

INTERVAL_SECONDS = 0.02
V1_MEMORY = Path("/sys/fs/cgroup/memory")
V2_MEMORY = Path("/sys/fs/cgroup")
MOST_PROCESSES = 16
"""Processes that a footprint names."""

Reader = Callable[[], int]


class PeakMemory(Peak):
    """Samples the memory of a server, all its processes, while a block runs.

    Parameters
    ----------
    pid
        The server's first process.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(self.now, INTERVAL_SECONDS)
        self._pid = pid
        self._of_container = cgroup_reader(pid)

    def now(self) -> int:
        """Return what the server holds."""
        return tree_bytes(self._pid) if self._of_container is None else self._of_container()

    def bytes(self) -> int:
        """Return the peak; the server must still be alive.

        Of a single process, what falls between two samples is caught by the kernel's own mark. Of
        several there is no mark of one moment, and files that were mapped while loading are in it.
        """
        processes = tree(self._pid)
        if len(processes) > 1:
            return self.highest
        return max(self.highest, high_water_bytes(self._pid))

    def processes(self) -> list[ProcessMemory]:
        """Return what each process holds, the largest first."""
        found = [ProcessMemory(name=name(pid), bytes=private_bytes(pid)) for pid in tree(self._pid)]
        return sorted(found, key=lambda each: -each.bytes)[:MOST_PROCESSES]


def tree_bytes(pid: int) -> int:
    """Return anonymous, shared and page-table memory of a process and its descendants.

    What they share is the same memory: it counts once, as much as one of them has touched.
    """
    processes = tree(pid)
    private = sum(map(private_bytes, processes))
    return private + max(map(shared_bytes, processes))


def cgroup_reader(pid: int) -> Reader | None:
    """Return a reader of this container's cgroup less this process, or None.

    None where the cgroup holds other processes, as on a machine that is no container.
    """
    ours = tree(pid) | {os.getpid()}
    for folder, read in ((V1_MEMORY, v1_bytes), (V2_MEMORY, v2_bytes)):
        if (folder / "memory.stat").exists() and _members(folder) <= ours:
            return lambda: read(folder) - own_bytes()
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


def fields(path: Path) -> dict[str, int]:
    """Return the `name value` lines of a cgroup file."""
    pairs = (line.split() for line in path.read_text().splitlines())
    return {key: int(value) for key, value in pairs}


def out_of_memory_kills() -> int:
    """Return how many processes of this container were killed for memory."""
    for path in (V2_MEMORY / "memory.events", V1_MEMORY / "memory.oom_control"):
        if path.exists():
            return fields(path).get("oom_kill", 0)
    return 0


def _members(folder: Path) -> set[int]:
    """Return the processes of a cgroup; a root cgroup that lists none is not ours."""
    path = folder / "cgroup.procs"
    return set(map(int, path.read_text().split())) if path.exists() else {0}
