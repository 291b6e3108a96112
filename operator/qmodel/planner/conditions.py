"""A status with a stage's verdict in it: conditions in the order of the pipeline, and their sum."""

import re
from datetime import datetime

from qmodel.api.conditions import Condition, ConditionStatus, ConditionType
from qmodel.api.status import QuantizedModelStatus
from qmodel.api.timestamps import rfc3339
from qmodel.planner.context import StageResult, Verdict

MAX_MESSAGE_CHARACTERS = 4096
"""Longest message that a condition takes."""

_CONDITIONS = tuple(ConditionType)
_PARTS = tuple(kind for kind in ConditionType if kind is not ConditionType.READY)

_REASON = re.compile(r"[A-Za-z][A-Za-z0-9]{0,255}")
"""What a condition takes; kubelets and API servers need not keep to it."""


def merge(
    status: QuantizedModelStatus, result: StageResult, generation: int, now: datetime
) -> QuantizedModelStatus:
    """Return the status with a stage's blocks and condition.

    Parameters
    ----------
    generation
        Of the spec that the stage judged.
    now
        Becomes the transition time of a condition that had another status.
    """
    status = status.updated(result.updates)
    if result.verdict is None:
        return status
    before = status.condition(result.verdict.type)
    condition = _condition(before, result.verdict, generation, now)
    if condition is before:
        return status
    others = {c.type: c for c in status.conditions} | {condition.type: condition}
    conditions = [others[kind] for kind in _CONDITIONS if kind in others]
    return status.model_copy(update={"conditions": conditions})


def ready(status: QuantizedModelStatus) -> StageResult:
    """Sum the conditions up: the first that is not True speaks for all."""
    for kind in _PARTS:
        found = status.condition(kind)
        if found is not None and found.status is not ConditionStatus.TRUE:
            return StageResult(
                Verdict(ConditionType.READY, found.status, found.reason, found.message)
            )
    available = status.condition(ConditionType.AVAILABLE)
    message = "" if available is None else available.message
    return StageResult(Verdict(ConditionType.READY, ConditionStatus.TRUE, "Serving", message))


def _condition(
    before: Condition | None, verdict: Verdict, generation: int, now: datetime
) -> Condition:
    """Return the verdict as a condition; its time moves only with its status."""
    reason = verdict.reason if _REASON.fullmatch(verdict.reason) else "Unknown"
    message = verdict.message[:MAX_MESSAGE_CHARACTERS]
    if before is not None and before.status is verdict.status:
        if _told(before) == (reason, message, generation):
            return before
        since = before.last_transition_time
    else:
        since = rfc3339(now)
    return Condition(
        type=verdict.type,
        status=verdict.status,
        reason=reason,
        message=message,
        observed_generation=generation,
        last_transition_time=since,
    )


def _told(condition: Condition) -> tuple[object, ...]:
    """Return what a condition says besides its status."""
    return (condition.reason, condition.message, condition.observed_generation)
