"""One step's plan, and the record of its attempts in status.

The record tells a later attempt what it must know: how often the step was tried, with how much
memory, and why the last attempt failed. So nothing is lost with a deleted Job.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from qmodel.api.conditions import ConditionType
from qmodel.api.status import StepStatus
from qmodel.api.timestamps import rfc3339
from qmodel.planner.containers import Container, Step
from qmodel.planner.context import Context, StageResult
from qmodel.planner.failures import DISTURBED_ATTEMPTS, Failed
from qmodel.planner.observed import ObservedJob
from qmodel.planner.wishes import WantJob


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one Job of a step is told apart by, and given."""

    name: str
    """Of the Job."""
    number: int
    """Counted from 1 over all attempts with this key."""
    key: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class StepPlan:
    """How one step is carried out and what its conditions say meanwhile."""

    step: Step
    condition: ConditionType
    key: str
    image: str
    """What the first container runs in."""
    memory_bytes: int
    """Memory of the first attempt."""
    memory_field: str
    """Field of spec that raises it, for the message; empty where there is none."""
    running_message: str
    containers: tuple[Container, ...]
    """Whose reports make the step complete."""
    build: Callable[[Attempt], WantJob]
    result_key: str = ""
    """Hash of what a Job's result depends on; empty: on all that the key is made of."""
    timeout_field: str = ""
    """Field of spec that gives it more time, for the message; empty where there is none."""


def record_of(ctx: Context, plan: StepPlan) -> StepStatus | None:
    """Return what status holds of this step with these inputs."""
    return stored_record(ctx, plan.step, plan.key)


def stored_record(ctx: Context, name: str, key: str) -> StepStatus | None:
    """Return what status holds by that name, unless it speaks of other inputs."""
    found = ctx.status.step(name)
    return found if found is not None and found.key == key else None


def next_attempt(ctx: Context, plan: StepPlan) -> StepStatus:
    """Return the record of the attempt to start when no Job of these inputs exists.

    An attempt whose Job is gone before it ended is begun again, as it was.
    """
    record = record_of(ctx, plan)
    if record is None:
        return _new_record(ctx, plan, 1, plan.memory_bytes)
    if record.finished is None:
        return record
    return _new_record(ctx, plan, record.attempts + 1, plan.memory_bytes)


def _new_record(ctx: Context, plan: StepPlan, attempts: int, memory_bytes: int) -> StepStatus:
    """Return the record of a fresh attempt."""
    return StepStatus(
        name=plan.step,
        key=plan.key,
        attempts=attempts,
        image=plan.image,
        memory_bytes=memory_bytes,
        started=rfc3339(ctx.now),
    )


def observed_record(ctx: Context, plan: StepPlan, job: ObservedJob) -> StepStatus:
    """Return the record of the observed attempt, which a crash may have kept out of status.

    What a later attempt is given is written before its Job is made, so it holds for this one.
    """
    known = record_of(ctx, plan)
    if known is None:
        known = _new_record(ctx, plan, job.attempt, plan.memory_bytes)
    elif known.attempts != job.attempt:
        known = following_record(ctx, plan, known, job.attempt)
    finished = None if job.finished is None else rfc3339(job.finished)
    image = next(iter(job.images), known.image)
    return known.updated({"image": image, "finished": finished})


def following_record(ctx: Context, plan: StepPlan, record: StepStatus, attempts: int) -> StepStatus:
    """Return the record of a later attempt: what the last one taught stays visible.

    After the last disturbance that is borne in a row, only a person starts another attempt.
    """
    goes_on = disturbances_in_a_row(record) < DISTURBED_ATTEMPTS
    kept = {
        "last_reason": record.last_reason,
        "last_message": record.last_message,
        "disturbed_since": record.disturbed_since if goes_on else None,
    }
    return _new_record(ctx, plan, attempts, record.memory_bytes).model_copy(update=kept)


def failed_record(record: StepStatus, failed: Failed) -> StepStatus:
    """Return the record of an attempt with why it failed."""
    since = (record.disturbed_since or record.attempts) if failed.is_disturbance else None
    return record.model_copy(
        update={
            "last_reason": failed.reason,
            "last_message": failed.message,
            "disturbed_since": since,
        }
    )


def disturbances_in_a_row(record: StepStatus) -> int:
    """Return how many attempts were disturbed since one last failed otherwise, this included."""
    since = record.disturbed_since
    return 0 if since is None else record.attempts - since + 1


def with_record(ctx: Context, result: StageResult, record: StepStatus) -> StageResult:
    """Return the result with the step's record among the status updates."""
    steps = [s for s in ctx.status.steps if s.name != record.name]
    updates = {**result.updates, "steps": sorted([*steps, record], key=lambda s: s.name)}
    return replace(result, updates=updates)
