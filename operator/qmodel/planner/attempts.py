"""One step's Jobs: start, wait, read the reports, and answer every way that a Job can fail.

Position follows from the observed Jobs, and what was tried before from the record in status. To
delete a failed Job is how a person asks for another try.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from qmodel.api.conditions import ConditionStatus, ConditionType
from qmodel.api.quantities import quantity_mib
from qmodel.api.status import StepProgress, StepStatus
from qmodel.naming import child_name
from qmodel.planner import context as stage
from qmodel.planner.containers import Container
from qmodel.planner.context import Context, StageResult
from qmodel.planner.failures import (
    DISK_FULL,
    DISTURBED_ATTEMPTS,
    DISTURBED_RETRY,
    OUT_OF_MEMORY,
    TIMED_OUT,
    UNWITNESSED,
    Failed,
    classify,
)
from qmodel.planner.job_identity import followed, pod_key, wanted_job
from qmodel.planner.observed import JobState, ObservedJob
from qmodel.planner.pod_trouble import NO_POD_GRACE, delay_of_job
from qmodel.planner.step import (
    Attempt,
    StepPlan,
    disturbances_in_a_row,
    failed_record,
    following_record,
    next_attempt,
    observed_record,
    record_of,
    with_record,
)
from qmodel.planner.storage import is_growing
from qmodel.planner.wishes import Remove, WantJob
from qmodel.worker.report import Report

WITNESS_GRACE = timedelta(seconds=3)
"""News of a Job's end may come before the news of how its pod ended; it counts whole seconds."""
LONGEST_BACKOFF = timedelta(minutes=5)
GROWTH_RETRY = timedelta(seconds=15)
"""Of a step that found no room on a volume that still grows; as often as after a disturbance, as
there are drivers that never come to it."""
MEMORY_RETRY_FACTOR = 2
"""A step that was killed for memory is tried once more, with this many times as much."""
IMAGE_TROUBLE = frozenset({"ImagePullBackOff", "InvalidImageName"})


Reports = dict[Container, Report]
Take = Callable[[ObservedJob, Reports], StageResult]
"""Turns a complete Job and its reports into the stage's result."""


def attend(ctx: Context, plan: StepPlan, take: Take) -> StageResult:
    """Carry a step forward.

    Parameters
    ----------
    ctx
        This pass.
    plan
        The step.
    take
        What to do with the reports of a complete Job.
    """
    jobs = [job for job in ctx.observed.jobs if job.step is plan.step]
    plan = followed(plan, jobs)
    current = sorted((j for j in jobs if j.key == plan.key), key=lambda j: j.attempt)
    outdated = [Remove("Job", j.name, j.uid) for j in jobs if j.key != plan.key]
    if not current:
        return _start(ctx, plan, next_attempt(ctx, plan)).adding(*outdated)
    result = _continue(ctx, plan, current[-1], take)
    starts = any(isinstance(wish, WantJob) for wish in result.wishes)
    ended = [Remove("Job", j.name, j.uid) for j in (current if starts else current[:-1])]
    return replace(result, wishes=(*outdated, *result.wishes, *ended))


def suspended(condition: ConditionType) -> StageResult:
    """Return the result of a step that may not begin."""
    return stage.blocked(condition, "Suspended", "spec.suspend is true: no work is started")


def _continue(ctx: Context, plan: StepPlan, newest: ObservedJob, take: Take) -> StageResult:
    """Start the attempt that was decided on before its Job was made, or follow the newest Job."""
    record = record_of(ctx, plan)
    if record is not None and record.attempts > newest.attempt:
        return _start(ctx, plan, record)
    return _follow(ctx, plan, newest, take)


def _follow(ctx: Context, plan: StepPlan, job: ObservedJob, take: Take) -> StageResult:
    """Answer the state of the newest Job."""
    if job.state is JobState.ACTIVE:
        return _running(ctx, plan, job)
    if job.state is JobState.COMPLETE:
        reports = _reports(plan, job)
        if reports is not None:
            return with_record(ctx, take(job, reports), observed_record(ctx, plan, job))
    failed = classify(job)
    if failed.reason in UNWITNESSED:
        told = _told_before(ctx, plan, job)
        if told is not None:
            return told
        left = WITNESS_GRACE - (ctx.now - (job.finished or ctx.now))
        if left > timedelta(0):
            return _working(plan, observed_record(ctx, plan, job), left)
    return _failed(ctx, plan, job, failed)


def _told_before(ctx: Context, plan: StepPlan, job: ObservedJob) -> StageResult | None:
    """Return why the Job failed for good as status holds it, for when its pod has gone since.

    Pods of failed Jobs go with their nodes: that is no reason to try what cannot work again.
    """
    record, shown = record_of(ctx, plan), ctx.status.condition(plan.condition)
    if record is None or shown is None or shown.status is not ConditionStatus.FALSE:
        return None
    if (record.attempts, record.last_reason) != (job.attempt, shown.reason):
        return None
    return with_record(ctx, stage.blocked(plan.condition, shown.reason, shown.message), record)


def _reports(plan: StepPlan, job: ObservedJob) -> Reports | None:
    """Return the report of every container, or None while one is missing."""
    found: Reports = {}
    for container in plan.containers:
        result = None if job.pod is None else job.pod.result(container)
        if result is None or result.report is None or result.report.failure is not None:
            return None
        found[container] = result.report
    return found


def _start(ctx: Context, plan: StepPlan, record: StepStatus) -> StageResult:
    """Ask for a Job, unless work is suspended; whether it got a pod is looked at later."""
    if ctx.model.spec.suspend:
        return suspended(plan.condition)
    name = child_name(ctx.model.name, plan.step, plan.key, str(record.attempts))
    want = wanted_job(ctx, plan, Attempt(name, record.attempts, plan.key, record.memory_bytes))
    result = _refusal(ctx, plan, want.name) or _working(plan, record, NO_POD_GRACE)
    return with_record(ctx, replace(result, wishes=(want,)), record)


def _working(
    plan: StepPlan, record: StepStatus, requeue_after: timedelta | None = None
) -> StageResult:
    """Say what is being done; of a later attempt also which one, and why."""
    message = plan.running_message
    if record.attempts > 1 and record.last_reason is not None:
        message += (
            f"; attempt {record.attempts} with {quantity_mib(record.memory_bytes)} memory, "
            f"after {record.last_reason}: {record.last_message}"
        )
    return stage.working(plan.condition, message, requeue_after)


def _refusal(ctx: Context, plan: StepPlan, name: str) -> StageResult | None:
    """Return what to say where the API server refused the Job."""
    found = next((r for r in ctx.observed.refusals if r.kind == "Job" and r.name == name), None)
    if found is None:
        return None
    return stage.troubled(plan.condition, found.reason, f"Job {name}: {found.message}")


def _running(ctx: Context, plan: StepPlan, job: ObservedJob) -> StageResult:
    """Tell how a running Job is doing."""
    record = observed_record(ctx, plan, job)
    delay = delay_of_job(job)
    trouble = None if delay is None else delay.trouble(plan.condition, ctx.now)
    if trouble is None:
        result = _working(plan, record, None if delay is None else delay.due - ctx.now)
    elif _may_pass_with_a_new_job(ctx, plan, job, trouble):
        result = trouble.adding(Remove("Job", job.name, job.uid))
    else:
        result = trouble
    if job.progress_percent is not None:
        progress = StepProgress(step=plan.step, percent=job.progress_percent)
        result = replace(result, updates={**result.updates, "progress": progress})
    return with_record(ctx, result, record)


def _may_pass_with_a_new_job(
    ctx: Context, plan: StepPlan, job: ObservedJob, trouble: StageResult
) -> bool:
    """Whether a pod that does not run would be another one now: edited, or with other images."""
    reason = "" if trouble.verdict is None else trouble.verdict.reason
    if reason in IMAGE_TROUBLE and job.images != _images(plan, job):
        return True
    return job.pod_key != pod_key(ctx, plan)


def _images(plan: StepPlan, job: ObservedJob) -> tuple[str, ...]:
    """Return what the containers of a Job would run in, were it made now."""
    return tuple(container.image for container in _as_made_now(plan, job).containers)


def _as_made_now(plan: StepPlan, job: ObservedJob) -> WantJob:
    """Return what a Job would be, were it made now."""
    return plan.build(Attempt(job.name, job.attempt, plan.key, plan.memory_bytes))


def _failed(ctx: Context, plan: StepPlan, job: ObservedJob, failed: Failed) -> StageResult:
    """Try again where that can help, else say what a person can do."""
    if failed.reason == DISK_FULL and (is_growing(ctx) or _promised(ctx, plan, failed)):
        failed = replace(failed, retry_after=GROWTH_RETRY, is_disturbance=True)
    record = failed_record(observed_record(ctx, plan, job), failed)
    if failed.reason == OUT_OF_MEMORY:
        return _out_of_memory(ctx, plan, record, failed)
    if failed.reason == TIMED_OUT and (_is_given_longer(plan, job) or _was_stuck(ctx, plan)):
        failed = replace(failed, retry_after=DISTURBED_RETRY)
    disturbances = disturbances_in_a_row(record)
    if failed.retry_after is None or disturbances >= DISTURBED_ATTEMPTS:
        message = f"{_sentence(failed.message)} {_advice(plan, job, failed)}"
        return with_record(ctx, stage.blocked(plan.condition, failed.reason, message), record)
    pause = _backoff(failed.retry_after, disturbances or record.attempts)
    due = (job.finished or ctx.now) + pause
    if due <= ctx.now:
        return _retry(ctx, plan, record)
    message = f"{_sentence(failed.message)} Attempt {record.attempts + 1} follows."
    result = stage.troubled(plan.condition, failed.reason, message, due - ctx.now)
    return with_record(ctx, result, record)


def _advice(plan: StepPlan, job: ObservedJob, failed: Failed) -> str:
    """Return what a person can do about a failure that is not tried again."""
    if failed.reason == TIMED_OUT and plan.timeout_field:
        return f"Raise {plan.timeout_field}, or delete Job {job.name} to try again."
    return f"Delete Job {job.name} to try again."


def _is_given_longer(plan: StepPlan, job: ObservedJob) -> bool:
    """Whether a Job would be given more time, were it made now."""
    had = job.timeout_seconds
    return had is not None and had < _as_made_now(plan, job).timeout_seconds


def _promised(ctx: Context, plan: StepPlan, failed: Failed) -> bool:
    """Whether status says already that another attempt follows this failure."""
    shown = ctx.status.condition(plan.condition)
    unknown = shown is not None and shown.status is ConditionStatus.UNKNOWN
    return unknown and shown is not None and shown.reason == failed.reason


def _was_stuck(ctx: Context, plan: StepPlan) -> bool:
    """Whether the pod was last seen waiting for a node or an image, rather than working."""
    shown = ctx.status.condition(plan.condition)
    return shown is not None and shown.is_trouble


def _out_of_memory(ctx: Context, plan: StepPlan, record: StepStatus, failed: Failed) -> StageResult:
    """Give one larger try, then stop.

    The larger memory is in status before the Job is made: a crash between the two must not make
    the attempt forget how much it was given.
    """
    larger = plan.memory_bytes * MEMORY_RETRY_FACTOR
    if record.memory_bytes < larger:
        had, gets = quantity_mib(record.memory_bytes), quantity_mib(larger)
        message = f"{failed.message} It had {had} and gets {gets}."
        following = following_record(ctx, plan, record, record.attempts + 1)
        return with_record(
            ctx,
            stage.troubled(plan.condition, OUT_OF_MEMORY, message, timedelta(0)),
            following.model_copy(update={"memory_bytes": larger}),
        )
    advice = f" Raise {plan.memory_field}." if plan.memory_field else ""
    message = (
        f"{plan.step} was killed for memory with {quantity_mib(plan.memory_bytes)} and with "
        f"{quantity_mib(record.memory_bytes)}.{advice} {failed.message}"
    )
    return with_record(ctx, stage.blocked(plan.condition, OUT_OF_MEMORY, message.strip()), record)


def _retry(ctx: Context, plan: StepPlan, record: StepStatus) -> StageResult:
    """Start the next attempt."""
    if ctx.model.spec.suspend:
        return with_record(ctx, suspended(plan.condition), record)
    return _start(ctx, plan, following_record(ctx, plan, record, record.attempts + 1))


def _backoff(first: timedelta, attempts: int) -> timedelta:
    """Return the pause before the next attempt: doubled each time, bounded."""
    doublings: int = 2 ** min(attempts - 1, 10)
    return min(first * doublings, LONGEST_BACKOFF)


def _sentence(message: str) -> str:
    """Return a message that another sentence can follow."""
    return message if message.endswith((".", "!", "?")) else f"{message}."
