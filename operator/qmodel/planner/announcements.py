"""Events: the transitions that people want to see, each once."""

from qmodel.api.conditions import Condition, ConditionStatus, ConditionType
from qmodel.api.status import QuantizedModelStatus
from qmodel.planner.wishes import Announcement

_GOOD_NEWS = (
    ConditionType.INSPECTED,
    ConditionType.FETCHED,
    ConditionType.EVALUATED,
    ConditionType.MEASURED,
    ConditionType.READY,
)
"""Quantized comes with Evaluated, Sized with Measured, Available with Ready."""


def between(before: QuantizedModelStatus, after: QuantizedModelStatus) -> tuple[Announcement, ...]:
    """Return what happened between two statuses."""
    pairs = ((before.condition(condition.type), condition) for condition in after.conditions)
    found = (_announcement(known, now) for known, now in pairs if known is not now)
    return tuple(a for a in found if a is not None)


def _announcement(before: Condition | None, now: Condition) -> Announcement | None:
    """Return the event of one condition's change, if people want to see it."""
    if before is not None and (before.status, before.reason) == (now.status, now.reason):
        return None
    if now.status is ConditionStatus.TRUE:
        return _good_news(before, now)
    if now.type is ConditionType.READY:
        return None
    if now.status is ConditionStatus.FALSE or now.is_trouble:
        return Announcement("Warning", now.reason, f"{now.type}: {now.message}")
    return None


def _good_news(before: Condition | None, now: Condition) -> Announcement | None:
    was_true = before is not None and before.status is ConditionStatus.TRUE
    if was_true or now.type not in _GOOD_NEWS:
        return None
    return Announcement("Normal", str(now.type), now.message)
