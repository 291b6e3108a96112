"""Processes that carry out one step together: a rank for each accelerator.

A library that calibrates on several accelerators wants one process for each, which observes its
own part of the samples and sums with the others what it saw. torch's own launchers bring the error
of a process back as text; a step has to tell a full disk from too little memory. So ranks are
started here: each says over a pipe how it ended, and the first to fail ends the others, which
would wait for it forever.
"""

import logging
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from qmodel.worker.backends.tools import check_exit
from qmodel.worker.errors import EngineFailed
from qmodel.worker.logs import log_json_lines

EXIT_SECONDS = 60
"""Until a rank that is done has put its things away; a library that hangs then is killed."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """One rank among all."""

    rank: int
    count: int
    threads: int
    """Its share of the step's."""
    meeting: Path
    """A file through which the ranks find each other; there is none before the first came."""


Started = dict[Connection, SpawnProcess]
"""Ranks, by the pipe that tells how each ended."""
Work = Callable[[Place], None]
"""What every rank does; pickled, so a function of a module, or a `partial` of one."""


def run(work: Work, count: int, threads: int) -> None:
    """Carry out `work` in `count` processes; a single rank is this process itself.

    Raises
    ------
    StepError
        That of the rank that failed first.
    OutOfMemory
        If a rank was killed.
    EngineFailed
        If a rank died otherwise.
    """
    share = max(1, threads // count)
    with tempfile.TemporaryDirectory() as folder:
        places = [Place(rank, count, share, Path(folder) / "meeting") for rank in range(count)]
        if count == 1:
            work(places[0])
            return
        with _started(work, places) as started:
            _join(started)


@contextmanager
def _started(work: Work, places: list[Place]) -> Iterator[Started]:
    """Start the ranks, each with the pipe that tells how it ended; none outlives the context."""
    # A forked process could not use an accelerator that this one has used.
    context = multiprocessing.get_context("spawn")
    started: Started = {}
    try:
        for place in places:
            reader, writer = context.Pipe(duplex=False)
            name = f"rank {place.rank}"
            process = context.Process(
                target=_rank, args=(work, place, writer), name=name, daemon=True
            )
            started[reader] = process
            process.start()
            writer.close()  # so that the pipe ends when the rank does
        yield started
    finally:
        for reader, process in started.items():
            if process.pid is not None:
                process.kill()
                process.join()
            reader.close()


def _join(started: Started) -> None:
    """Wait until every rank is done, or raise the error of the first that fails."""
    waiting = dict(started)
    while waiting:
        ready = wait(list(waiting))
        for reader in [each for each in waiting if each in ready]:
            error = _outcome(reader, waiting.pop(reader))
            if error is not None:
                raise error


def _outcome(reader: Connection, process: SpawnProcess) -> BaseException | None:
    """Return why a rank failed, or None; raise what it means that it ended without a word."""
    try:
        error: BaseException | None = reader.recv()
    except EOFError:
        process.join()
    else:
        if error is None:
            process.join(EXIT_SECONDS)
        return error
    check_exit(process.name, process.exitcode or 0, ())
    message = f"{process.name} ended before its work did"
    raise EngineFailed(message)


def _rank(work: Work, place: Place, writer: Connection) -> None:
    """Do the work in a process of its own, and tell how it ended."""
    log_json_lines()
    try:
        work(place)
    except BaseException as error:  # noqa: BLE001  the others and the report depend on it
        # A traceback does not pass through a pipe.
        _log.error("rank %d of %d failed", place.rank, place.count, exc_info=error)
        writer.send(error)
    else:
        writer.send(None)
