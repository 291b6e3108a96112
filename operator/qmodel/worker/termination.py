"""A step's last word: one report in the container's termination message, whatever happened."""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from qmodel.worker.errors import DiskFull, Interrupted, OutOfMemory, StepError
from qmodel.worker.files import disk_full, is_full_disk
from qmodel.worker.report import MAX_REPORT_BYTES, Failure, Report
from qmodel.worker.task import ARTIFACTS

TERMINATION_LOG = "/dev/termination-log"
"""Where the kubelet looks unless the container says otherwise."""

_MESSAGE_CHARACTERS = 2000
_log = logging.getLogger(__name__)


def answer(step: str, termination_log: Path, work: Callable[[], Report]) -> int:
    """Run a step's work and leave its report.

    Returns
    -------
    int
        The exit status: 0, or 1 with a failure in the report.
    """
    _answer_sigterm(step, termination_log)
    try:
        report = work()
    except BaseException as error:  # noqa: BLE001  the report is the only thing that outlives us
        failure = explain(error)
        report = Report(step=step, failure=failure)
        _log.error("%s failed: %s", failure.reason, failure.message, exc_info=error)
    leave(report, termination_log)
    return 0 if report.failure is None else 1


def explain(error: BaseException) -> Failure:
    """Return what an exception means to a person and to the planner."""
    for cause in _causes(error):
        if isinstance(cause, DiskFull):
            return _failure(cause)
        if isinstance(cause, OSError) and is_full_disk(cause):
            return _failure(disk_full(Path(os.fsdecode(cause.filename or ARTIFACTS))))
        if isinstance(cause, MemoryError):
            return _failure(OutOfMemory(f"the step ran out of memory: {_named(error)}"))
    if isinstance(error, StepError):
        return _failure(error)
    return Failure(reason="InternalError", message=_shortened(_named(error)))


def leave(report: Report, termination_log: Path) -> None:
    """Write a report, its message shortened until the kubelet keeps it whole."""
    content = _encoded(report)
    while len(content) >= MAX_REPORT_BYTES and report.failure is not None:
        message = _shortened(report.failure.message, len(report.failure.message) * 3 // 4)
        failure = report.failure.model_copy(update={"message": message})
        report = report.model_copy(update={"failure": failure})
        content = _encoded(report)
    try:
        termination_log.write_bytes(content)
    except OSError:
        _log.exception("cannot write the report %s", content.decode())


def _answer_sigterm(step: str, termination_log: Path) -> None:
    """Report an asked-for end at once, as the process may be killed while it cleans up."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        error = Interrupted(f"{step} was asked to end (SIGTERM) before it was done")
        leave(Report(step=step, failure=_failure(error)), termination_log)
        raise error

    signal.signal(signal.SIGTERM, interrupt)


def _causes(error: BaseException) -> list[BaseException]:
    """Return the exception and those that it was raised from or beside, without repeats."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    return chain


def _failure(error: StepError) -> Failure:
    """Return an error of ours as it is reported."""
    wait = error.retry_after
    return Failure(
        reason=error.reason,
        message=_shortened(str(error)),
        retry_after_seconds=max(1, round(wait.total_seconds())) if wait else None,
    )


def _named(error: BaseException) -> str:
    """Return an exception's type and text."""
    return f"{type(error).__name__}: {error}"


def _shortened(text: str, characters: int = _MESSAGE_CHARACTERS) -> str:
    """Return a text without its middle where it is too long: both ends tell most."""
    if len(text) <= characters:
        return text
    half = characters // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


def _encoded(report: Report) -> bytes:
    """Return the report's compact JSON."""
    return report.model_dump_json(by_alias=True, exclude_none=True).encode()
