"""A server's processes and what the kernel says of each."""

import os
from collections import defaultdict
from pathlib import Path

PROC = Path("/proc")


def tree(pid: int) -> set[int]:
    """Return a process and all its descendants, as far as they live."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        process = waiting.pop()
        found.add(process)
        waiting += children(process) - found
    return found


def children(pid: int) -> set[int]:
    """Return the children of a process; none once it ended."""
    found: set[int] = set()
    for thread in _threads(pid):
        try:
            found.update(map(int, (thread / "children").read_text().split()))
        except OSError:  # the thread ended
            continue
    return found


def _threads(pid: int) -> list[Path]:
    """Return the folders of a process's threads; none once it ended, even while it is asked."""
    try:
        return list((PROC / str(pid) / "task").iterdir())
    except OSError:
        return []


def name(pid: int) -> str:
    """Return the name that a process gave itself, or its program's; empty once it ended."""
    try:
        first = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return ""
    return first.decode(errors="replace").rpartition("/")[2]


def private_bytes(pid: int) -> int:
    """Return anonymous and page-table memory of one process; 0 once it ended."""
    found = _status(pid)
    return found["RssAnon"] + found["VmPTE"]


def shared_bytes(pid: int) -> int:
    """Return the shared memory that one process has touched; 0 once it ended."""
    return _status(pid)["RssShmem"]


def own_bytes() -> int:
    """Return anonymous, shared and page-table memory of this process."""
    return private_bytes(os.getpid()) + shared_bytes(os.getpid())


def high_water_bytes(pid: int) -> int:
    """Return the most that a process ever held, less the file pages that it holds now."""
    found = _status(pid)
    return found["VmHWM"] - found["RssFile"] + found["VmPTE"]


def _status(pid: int) -> dict[str, int]:
    """Return the sizes in /proc/PID/status, in bytes; a process that ended has none."""
    try:
        lines = (PROC / str(pid) / "status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return defaultdict(int)
    sizes = (line.removesuffix(" kB").split(":") for line in lines if line.endswith(" kB"))
    return defaultdict(int, {key: int(value) * 1024 for key, value in sizes})
