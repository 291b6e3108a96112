"""When each step ran: the Jobs as the operator timed them, the work inside as it timed itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from qmodel.api.status import QuantizedModelStatus, StepStatus


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work, in seconds from the beginning."""

    name: str
    start: float
    seconds: float
    attempts: int = 1
    is_job: bool = True
    """False for work inside the Job above it."""


def spans(status: QuantizedModelStatus) -> list[Span]:
    """Return every finished Job in order, each followed by the work inside that is known."""
    ended = sorted(
        (step for step in status.steps if step.started and step.finished),
        key=lambda step: step.started or "",
    )
    if not ended:
        return []
    origin = _time(ended[0].started)
    return [span for step in ended for span in _spans(step, origin, status)]


def total_seconds(found: list[Span]) -> float:
    """Return the seconds that Jobs ran."""
    return sum(span.seconds for span in found if span.is_job)


def _spans(step: StepStatus, origin: float, status: QuantizedModelStatus) -> Iterator[Span]:
    start, end = _time(step.started) - origin, _time(step.finished) - origin
    yield Span(f"{step.name} Job", start, end - start, step.attempts)
    if step.name != "quantize":
        return
    made, judged = status.artifact, status.evaluation
    if made is not None and not made.reused:
        yield Span("quantizing", start, min(made.seconds, end - start), is_job=False)
    if judged is not None and judged.seconds:
        seconds = min(judged.seconds, end - start)
        yield Span("evaluating", end - seconds, seconds, is_job=False)


def _time(text: str | None) -> float:
    return datetime.fromisoformat(text or "").timestamp()
