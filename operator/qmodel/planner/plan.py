"""From a model and what is observed around it to what to do now.

Stages run in the order of the pipeline. Each asks whether its condition is settled for what spec
asks now; if not, it says what it needs. A stage sees the status as the stages before it left it.
`Ready` sums the conditions up. Nothing here acts, waits or looks at a clock.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from qmodel.api.conditions import ConditionType
from qmodel.api.resource import QuantizedModel
from qmodel.planner import (
    accelerator,
    announcements,
    conditions,
    fetch,
    inspection,
    keys,
    measure,
    quantize,
    serve,
    size,
    storage,
    summary,
)
from qmodel.planner.containers import Step
from qmodel.planner.context import Context, StageResult
from qmodel.planner.observed import JobState, Observed
from qmodel.planner.wishes import Plan, Remove, Wish

Stage = Callable[[Context], StageResult]

STAGES: tuple[Stage, ...] = (
    inspection.resolve,
    accelerator.plan,
    inspection.judge,
    storage.plan,
    fetch.plan,
    quantize.plan_artifact,
    quantize.plan_evaluation,
    measure.plan,
    size.plan,
    serve.plan,
)

_SETTLES = {
    Step.INSPECT: ConditionType.INSPECTED,
    Step.FETCH: ConditionType.FETCHED,
    Step.QUANTIZE: ConditionType.EVALUATED,
    Step.MEASURE: ConditionType.MEASURED,
}
"""The condition that a step's Job is there for: once True, no such Job need run."""


def plan(model: QuantizedModel, observed: Observed, now: datetime) -> Plan:
    """Decide what to do about one model.

    Parameters
    ----------
    model
        Spec, and status as it was last written.
    observed
        Its children, the cluster's nodes and the installation.
    now
        The time, aware of its zone.
    """
    status = model.status.updated({"progress": None})
    wishes: list[Wish] = []
    requeue: list[timedelta] = []
    ctx = Context(model, observed, status, now, keys.source_key(model.spec))
    for stage in STAGES:
        result = stage(ctx)
        status = conditions.merge(status, result, model.generation, now)
        if status is not ctx.status:
            ctx = ctx.with_status(status)
        wishes.extend(result.wishes)
        if result.requeue_after is not None:
            requeue.append(result.requeue_after)
    status = conditions.merge(status, conditions.ready(status), model.generation, now)
    status = summary.summarise(ctx, status)
    wishes.extend(_needless_jobs(ctx))
    return Plan(
        wishes=_once_each(wishes),
        status=status,
        announcements=announcements.between(model.status, status),
        requeue_after=min(requeue, default=None),
    )


def _once_each(wishes: list[Wish]) -> tuple[Wish, ...]:
    """Return the wishes without repeats; what they hold of spec cannot be hashed."""
    return tuple(wish for i, wish in enumerate(wishes) if wish not in wishes[:i])


def _needless_jobs(ctx: Context) -> list[Wish]:
    """Return running Jobs whose result nobody waits for, and all whose result is void."""
    return [
        Remove("Job", job.name, job.uid)
        for job in ctx.observed.jobs
        if (job.state is JobState.ACTIVE and _is_needless(ctx, job.step)) or _is_void(ctx, job.step)
    ]


def _is_void(ctx: Context, step: Step) -> bool:
    """Whether what a step's Jobs worked on has gone from the volume, or may go."""
    if step is Step.MEASURE:
        return ctx.status.artifact is None
    return step is Step.QUANTIZE and ctx.status.fetched is None


def _is_needless(ctx: Context, step: Step) -> bool:
    """Whether a step's condition is settled without it, or what it works on is replaced."""
    if ctx.status.is_true(_SETTLES[step]):
        return True
    if step is Step.INSPECT:
        return False
    if ctx.source is None:
        return True
    files_come_anew = ctx.status.is_true(ConditionType.INSPECTED) and ctx.status.fetched is None
    return step is not Step.FETCH and files_come_anew
