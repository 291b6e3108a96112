"""Where a model stands, as rows for a person: what is shown, without how it is drawn.

Two witnesses: the conditions, which decide, and the steps' own progress lines, which are finer and
ahead of them. The artifact, for one, is made and judged by one Job, whose end settles both
conditions; its log tells when the one work ended and the other began.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from qmodel.api.conditions import Condition, ConditionStatus, ConditionType
from qmodel.api.resource import QuantizedModel
from qmodel.worker.report import ProgressLine

STEP_CONDITIONS = {
    "inspect": ConditionType.INSPECTED,
    "fetch": ConditionType.FETCHED,
    "quantize": ConditionType.QUANTIZED,
    "evaluate": ConditionType.EVALUATED,
    "measure": ConditionType.MEASURED,
}
"""Which condition a step's progress belongs to."""

_MADE = "the artifact is complete, its quality is being judged"
"""Of an artifact while its condition waits for the Job's end."""


class State(StrEnum):
    """How a row is marked."""

    WAITING = "waiting"
    WORKING = "working"
    TROUBLED = "troubled"
    DONE = "done"
    FAILED = "failed"


@dataclass(slots=True)
class Row:
    """One condition."""

    kind: ConditionType
    state: State = State.WAITING
    reason: str = ""
    message: str = ""
    percent: int | None = None
    detail: str = ""
    """What the running step said last."""
    started: float | None = None
    """When the work began, in seconds since 1970."""
    finished: float | None = None

    def seconds(self, now: float) -> float | None:
        """Return how long the work took, or takes; None where it was done before anyone looked."""
        if self.started is None:
            return None
        return max(0.0, (self.finished if self.finished is not None else now) - self.started)

    @property
    def is_at_work(self) -> bool:
        """Whether something happens here now."""
        return self.state in {State.WORKING, State.TROUBLED}

    @property
    def text(self) -> str:
        """What there is to say about it in a line."""
        if self.state is State.WAITING:
            return ""
        if self.state is State.FAILED:
            return self.reason
        return self.detail if self.state is State.WORKING and self.detail else self.message

    def move(self, state: State, began: float, now: float) -> None:
        """Come to a state; `began` is when work counts from, should this be its beginning."""
        if state is not self.state and not (self.is_at_work and state in _AT_WORK):
            if state in _AT_WORK:
                self.started, self.finished = began, None
            elif state in {State.DONE, State.FAILED}:
                self.finished = now
            self.percent, self.detail = None, ""
        self.state = state


_AT_WORK = frozenset({State.WORKING, State.TROUBLED})


def _rows() -> dict[ConditionType, Row]:
    return {kind: Row(kind) for kind in ConditionType if kind is not ConditionType.READY}


@dataclass(slots=True)
class Board:
    """All rows, kept up to date by what is seen and heard.

    `now` is always in seconds since 1970.
    """

    rows: dict[ConditionType, Row] = field(default_factory=_rows)
    model: QuantizedModel | None = None
    deleted: bool = False
    evaluating: bool = False
    """Whether the Job that makes the artifact has come to judging it."""

    def see(self, model: QuantizedModel | None, now: float) -> None:
        """Take in the model as it is now; None once it is deleted."""
        if model is None:
            self.deleted = True
            return
        self.model = model
        self._arrange(now)
        progress = model.status.progress
        kind = STEP_CONDITIONS.get(progress.step) if progress else None
        row = self.rows[kind] if kind else None
        if progress and row and row.is_at_work and row.percent is None:
            row.percent = progress.percent

    def hear(self, line: ProgressLine, now: float) -> None:
        """Take in a line of a step's log."""
        kind = STEP_CONDITIONS.get(line.step)
        if kind is None or self.model is None or self.model.status.is_true(kind):
            return
        if kind in {ConditionType.QUANTIZED, ConditionType.EVALUATED}:
            self.evaluating = kind is ConditionType.EVALUATED
            self._arrange(now)
        row = self.rows[kind]
        if row.is_at_work:
            row.percent = line.percent
            row.detail = line.message or row.detail

    @property
    def is_observed(self) -> bool:
        """Whether status speaks of the spec as it is now."""
        model = self.model
        return model is not None and model.status.observed_generation == model.generation

    @property
    def current(self) -> Row | None:
        """The row at which something happens."""
        return next((row for row in self.rows.values() if row.is_at_work), None)

    @property
    def failed(self) -> Row | None:
        """The row that needs a person."""
        return next((row for row in self.rows.values() if row.state is State.FAILED), None)

    def reached(self, kind: ConditionType) -> bool:
        """Whether that condition is True for the spec as it is now."""
        return self.is_observed and self.model is not None and self.model.status.is_true(kind)

    def _arrange(self, now: float) -> None:
        """Bring every row to where its condition says it is."""
        settled = True
        for kind, row in self.rows.items():
            condition = self._condition(kind)
            state = _state(condition, is_next=settled)
            row.message = condition.message if condition else ""
            if kind is ConditionType.QUANTIZED and self.evaluating and state in _AT_WORK:
                state, row.message = State.DONE, _MADE
            settled = settled and state is State.DONE
            row.move(state, self._began(kind, now), now)
            row.reason = condition.reason if condition else ""

    def _condition(self, kind: ConditionType) -> Condition | None:
        """Return the condition, unless it speaks of an older spec."""
        return self.model.status.condition(kind) if self.model and self.is_observed else None

    def _began(self, kind: ConditionType, now: float) -> float:
        """Return when the running step was started, by status; else it begins now."""
        steps = self.model.status.steps if self.model else []
        running = (s for s in steps if STEP_CONDITIONS.get(s.name) is kind and not s.finished)
        started = next((s.started for s in running if s.started), None)
        return now if started is None else min(now, datetime.fromisoformat(started).timestamp())


def _state(condition: Condition | None, *, is_next: bool) -> State:
    """Return how a condition is marked; only the next one to settle can be at work."""
    if condition is not None and condition.status is ConditionStatus.TRUE:
        return State.DONE
    if condition is not None and condition.status is ConditionStatus.FALSE:
        return State.FAILED
    if not is_next:
        return State.WAITING
    is_trouble = condition is not None and condition.is_trouble
    return State.TROUBLED if is_trouble else State.WORKING
