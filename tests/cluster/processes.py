"""Long-running processes, known again by process id and start time.

A process id alone may belong to another program after a crash or a reboot, so the state file of
a process also holds the boot and the clock tick at which the kernel started it.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.commands import ClusterError, wait_until
from cluster.settings import LOGS, STATE

FOLDER = STATE / "processes"
LOG_LINES = 15
STOP_SECONDS = 10


@dataclass(frozen=True)
class Process:
    """A process that this harness started."""

    name: str
    pid: int
    started: str
    """Boot id and start time in clock ticks."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return _start_of(self.pid) == self.started


def find(name: str) -> Process | None:
    """Return the recorded process if it runs."""
    try:
        pid, started = (FOLDER / name).read_text().strip().split(maxsplit=1)
    except (FileNotFoundError, ValueError):
        return None
    process = Process(name, int(pid), started)
    return process if process.alive else None


def running() -> list[Process]:
    """Return the recorded processes that run."""
    names = sorted(path.name for path in FOLDER.glob("*"))
    return [process for name in names if (process := find(name))]


def start(
    name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> Process:
    """Start a process of its own session, its output going to `logs/NAME.log`.

    Returns the one that runs already where there is one.
    """
    if existing := find(name):
        return existing
    LOGS.mkdir(parents=True, exist_ok=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with log_path(name).open("w") as log:
        child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
            cwd="/",
        )
    process = Process(name, child.pid, _start_of(child.pid) or "")
    (FOLDER / name).write_text(f"{process.pid} {process.started}\n")
    return process


def stop(name: str, how: signal.Signals = signal.SIGTERM) -> None:
    """End a process and wait until it is gone; kill it when it does not end by itself."""
    if process := find(name):
        end(process, how)
    (FOLDER / name).unlink(missing_ok=True)


def end(process: Process, how: signal.Signals) -> None:
    """Signal a process and wait for its end, by SIGKILL if need be."""
    os.kill(process.pid, how)
    try:
        wait_until(f"{process.name} has ended", lambda: not process.alive, STOP_SECONDS)
    except ClusterError:
        os.kill(process.pid, signal.SIGKILL)
        wait_until(f"{process.name} was killed", lambda: not process.alive, STOP_SECONDS)


def wait_ready(process: Process, is_ready: Callable[[], bool], seconds: float) -> None:
    """Wait until a check passes; fail at once, with its last words, when the process ends."""
    try:
        wait_until(f"{process.name} is ready", lambda: not process.alive or is_ready(), seconds)
    except ClusterError as error:
        message = f"{error}; the last lines of its log:\n{log_tail(process.name)}"
        raise ClusterError(message) from error
    if not process.alive:
        message = f"{process.name} ended; the last lines of its log:\n{log_tail(process.name)}"
        raise ClusterError(message)


def log_path(name: str) -> Path:
    """Path of a process's log."""
    return LOGS / f"{name}.log"


def log_tail(name: str) -> str:
    """Last lines of a process's log."""
    lines = log_path(name).read_text(errors="replace").splitlines()
    return "\n".join(line[:300] for line in lines[-LOG_LINES:])


def _start_of(pid: int) -> str | None:
    """Boot id and start tick of a process; None if there is none, or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks = fields[0], fields[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None if state in "ZX" else f"{boot} {ticks}"
