"""Running other programs, waiting with a deadline, and telling a person what happens."""

import fcntl
import os
import shlex
import subprocess
import sys
import tempfile
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
        lines = (done.stdout + (done.stderr or "")).strip().splitlines()[-ERROR_LINES:]
        raise _failed(words, f"exit status {done.returncode}", lines)
    return done.stdout


def _failed(words: Sequence[str], how: str, lines: Sequence[str]) -> ClusterError:
    """Return what to say of a program that failed, with its last lines."""
    return ClusterError("\n".join([f"{shlex.join(words)}: {how}", *lines]))


def follow(
    command: Sequence[str | Path],
    heed: Callable[[str], None],
    *,
    timeout: float,
    stdin: str = "",
    apart: bool = False,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Run a program to its end, passing on each line that it writes.

    Parameters
    ----------
    heed
        Called with each line of stderr, and of stdout unless that is kept apart.
    timeout
        Seconds after which it is killed.
    apart
        Whether stdout is returned.

    Returns
    -------
    str
        What it wrote to stdout; empty unless that is kept apart.

    Raises
    ------
    ClusterError
        It failed or took too long; with the last lines of what it wrote.
    """
    words = [str(word) for word in command]
    tail: deque[str] = deque(maxlen=ERROR_LINES)
    late = threading.Event()
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+", errors="replace") as kept,
    ):
        given.write(stdin)
        given.seek(0)
        with (
            subprocess.Popen(
                words,
                stdin=given,
                stdout=kept if apart else subprocess.PIPE,
                stderr=subprocess.PIPE if apart else subprocess.STDOUT,
                text=True,
                errors="replace",
                cwd=folder,
                env={**os.environ, **(environment or {})},
            ) as process,
            _killed_after(timeout, process, late),
        ):
            for line in process.stderr or process.stdout or ():
                tail.append(line.rstrip())
                heed(tail[-1])
            process.wait()
        kept.seek(0)
        printed = kept.read()
    if process.returncode != 0:
        ended = f"exit status {process.returncode}"
        how = f"not done after {timeout:.0f} s" if late.is_set() else ended
        raise _failed(words, how, [*tail, *printed.splitlines()[-ERROR_LINES:]])
    return printed


@contextmanager
def _killed_after(
    seconds: float, process: subprocess.Popen[str], late: threading.Event
) -> Iterator[None]:
    """Kill a process that is not done in time, telling so, and one that nobody listens to."""

    def kill() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        timer.cancel()


def succeeds(command: Sequence[str | Path], timeout: float = 10) -> bool:
    """Tell whether a program runs to exit status 0."""
    try:
        run(command, timeout=timeout)
    except ClusterError:
        return False
    return True


def wait_until(
    what: str,
    condition: Callable[[], object],
    seconds: float,
    pause_seconds: float = POLL_SECONDS,
) -> None:
    """Wait until a condition holds.

    Parameters
    ----------
    pause_seconds
        Between two looks.

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
        time.sleep(pause_seconds)


def say(text: str) -> None:
    """Tell a person what happens; stdout is left to results."""
    sys.stderr.write(f"{text}\n")  # at once, as two threads may speak
    sys.stderr.flush()


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
