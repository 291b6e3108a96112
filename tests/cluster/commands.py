"""Running other programs, waiting with a deadline, and telling a person what happens."""

import fcntl
import os
import shlex
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ERROR_LINES = 30
"""So many last lines of a failed program's output are shown."""

POLL_SECONDS = 0.05


class ClusterError(Exception):
    """Something a person has to know; the message says what to do."""


def run(
    command: Sequence[str | Path],
    *,
    timeout: float = 60,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    heard: bool = False,
) -> str:
    """Run a program to its end.

    Parameters
    ----------
    timeout
        Seconds after which it is killed.
    environment
        Variables set beside those of this process.
    heard
        Whether what it says on stderr is said here, while it works.

    Returns
    -------
    str
        What it wrote to stdout.

    Raises
    ------
    ClusterError
        It failed or took too long; with the last lines of what it wrote.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=None if heard else subprocess.PIPE,
            text=True,
            timeout=timeout,
            check=False,
            cwd=folder,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired as error:
        message = f"{shlex.join(words)}: not done after {timeout:.0f} s"
        raise ClusterError(message) from error
    except FileNotFoundError as error:
        message = f"{words[0]}: no such program"
        raise ClusterError(message) from error
    if done.returncode != 0:
        tail = "\n".join((done.stdout + (done.stderr or "")).strip().splitlines()[-ERROR_LINES:])
        message = f"{shlex.join(words)}: exit status {done.returncode}\n{tail}"
        raise ClusterError(message)
    return done.stdout


def follow(
    command: Sequence[str | Path],
    heed: Callable[[str], None],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    """Run a program to its end, passing on each line that it writes.

    Parameters
    ----------
    heed
        Called with each line of stdout and stderr.
    timeout
        Seconds after which it is killed.

    Raises
    ------
    ClusterError
        It failed or took too long; with the last lines of what it wrote.
    """
    words = [str(word) for word in command]
    tail: deque[str] = deque(maxlen=ERROR_LINES)
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=folder,
        env={**os.environ, **(environment or {})},
    ) as process:
        timer = threading.Timer(timeout, process.kill)
        timer.start()
        for line in process.stdout or ():
            tail.append(line.rstrip())
            heed(tail[-1])
        timer.cancel()
    if process.returncode != 0:
        told = "\n".join(tail)
        message = f"{shlex.join(words)}: exit status {process.returncode}\n{told}"
        raise ClusterError(message)


def succeeds(command: Sequence[str | Path], timeout: float = 10) -> bool:
    """Tell whether a program runs to exit status 0."""
    try:
        run(command, timeout=timeout)
    except ClusterError:
        return False
    return True


def wait_until(what: str, condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds.

    Raises
    ------
    ClusterError
        It did not within so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            message = f"{what}: not so after {seconds:.0f} s"
            raise ClusterError(message)
        time.sleep(POLL_SECONDS)


def say(text: str) -> None:
    """Tell a person what happens; stdout is left to results."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is being done, and when it is done how long it took."""
    started = time.monotonic()
    say(f"  {title} ...")
    yield
    say(f"  {title}: {time.monotonic() - started:.1f} s")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two commands at once do one thing after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
