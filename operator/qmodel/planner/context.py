"""What every stage is given, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from qmodel.api.conditions import WAITING, WORK, ConditionStatus, ConditionType
from qmodel.api.resource import QuantizedModel
from qmodel.api.status import QuantizedModelStatus, SourceStatus
from qmodel.naming import volume_name
from qmodel.planner import keys
from qmodel.planner.observed import Observed
from qmodel.planner.wishes import Wish


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a stage says of its condition."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class StageResult:
    """A stage's verdict, the status blocks that it sets, and what it wants done."""

    verdict: Verdict | None = None
    updates: Mapping[str, Any] = field(default_factory=dict)
    wishes: tuple[Wish, ...] = ()
    requeue_after: timedelta | None = None

    def adding(self, *wishes: Wish) -> "StageResult":
        """Return this result with further wishes, those first."""
        return replace(self, wishes=(*wishes, *self.wishes))


@dataclass(frozen=True, slots=True)
class Context:
    """One pass over one model: what is wanted, what is observed, and the status so far."""

    model: QuantizedModel
    observed: Observed
    status: QuantizedModelStatus
    now: datetime
    source_key: str
    """`keys.source_key` of spec."""

    def with_status(self, status: QuantizedModelStatus) -> "Context":
        """Return this pass with the status as a further stage left it."""
        return Context(self.model, self.observed, status, self.now, self.source_key)

    @property
    def source(self) -> SourceStatus | None:
        """The resolved source, if it was resolved from the source that spec names now."""
        found = self.status.source
        return found if found is not None and found.key == self.source_key else None

    @property
    def revision(self) -> str | None:
        """Hash of resolved source and recipe."""
        source = self.source
        return None if source is None else keys.revision(self.model.spec, source.source_digest)

    @property
    def claim_name(self) -> str:
        """The claim that holds source and artifacts."""
        return self.model.spec.storage.existing_claim or volume_name(self.model.name)


def done(kind: ConditionType, reason: str, message: str, **updates: Any) -> StageResult:
    """Return the result of a stage that is settled."""
    return StageResult(Verdict(kind, ConditionStatus.TRUE, reason, message), updates)


def waiting(kind: ConditionType, after: str) -> StageResult:
    """Return the result of a stage whose turn has not come: after another condition, say."""
    verdict = Verdict(kind, ConditionStatus.UNKNOWN, f"{WAITING}{after}", f"waits for {after}")
    return StageResult(verdict)


def working(
    kind: ConditionType, message: str, requeue_after: timedelta | None = None
) -> StageResult:
    """Return the result of a stage that is being worked on."""
    verdict = Verdict(kind, ConditionStatus.UNKNOWN, WORK[kind].value, message)
    return StageResult(verdict, requeue_after=requeue_after)


def troubled(
    kind: ConditionType, reason: str, message: str, requeue_after: timedelta | None = None
) -> StageResult:
    """Return the result of a stage that waits for trouble to pass; no reason of work will do."""
    verdict = Verdict(kind, ConditionStatus.UNKNOWN, reason, message)
    return StageResult(verdict, requeue_after=requeue_after)


def blocked(kind: ConditionType, reason: str, message: str) -> StageResult:
    """Return the result of a stage that needs a change by a person."""
    return StageResult(Verdict(kind, ConditionStatus.FALSE, reason, message))
