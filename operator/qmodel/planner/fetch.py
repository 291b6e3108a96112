"""`Fetched`: the source's files on the volume, verified; no GPU is held meanwhile."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from qmodel.api.conditions import ConditionType
from qmodel.api.status import FetchedStatus, SourceStatus
from qmodel.planner import context as stage
from qmodel.planner import keys
from qmodel.planner.artifacts import kept_revisions, serving_artifact
from qmodel.planner.attempts import Reports, attend, suspended
from qmodel.planner.containers import Container, Step
from qmodel.planner.context import Context, StageResult
from qmodel.planner.failures import SOURCE_CHANGED, classify
from qmodel.planner.observed import JobState, ObservedJob
from qmodel.planner.placement import carried, placement
from qmodel.planner.sources import source_access, source_task
from qmodel.planner.step import Attempt, StepPlan
from qmodel.planner.storage import forgetting, noting_growth, refused_claim
from qmodel.planner.wishes import Remove, WantContainer, WantJob
from qmodel.sizing.steps import FETCH_BYTES
from qmodel.worker.task import ARTIFACTS, FetchTask

_TIMEOUT_SECONDS = 86_400
_CPU = "100m"


def plan(ctx: Context) -> StageResult:
    """Bring the files, once inspection allowed it."""
    source = ctx.source
    if source is None or not ctx.status.is_true(ConditionType.INSPECTED):
        waiting = stage.waiting(ConditionType.FETCHED, ConditionType.INSPECTED)
        return waiting.adding(*_removals(_refuted(ctx)))
    refused = refused_claim(ctx)
    if refused is not None:
        return stage.troubled(ConditionType.FETCHED, refused.reason, refused.message)
    fetched = ctx.status.fetched
    if fetched is not None and fetched.source_digest == source.source_digest:
        return _fetched(fetched)
    if ctx.status.claim_uid is None:
        return _no_volume(ctx)
    return _bring(ctx, source)


def _bring(ctx: Context, source: SourceStatus) -> StageResult:
    """Carry the Job forward; from the volume it removes what is not of this source."""
    step = _step(ctx, source)
    if ctx.status.fetched is not None and not ctx.model.spec.suspend:
        return forgetting(step, {"fetched": None, "artifact": serving_artifact(ctx)})
    if any(job.key == step.key for job in _refuted(ctx)):
        return _inspect_again(ctx)
    return noting_growth(ctx, attend(ctx, step, lambda _, reports: _taken(source, reports)))


def source_directory(source: SourceStatus) -> str:
    """Return where the source's files lie on the volume."""
    return f"{ARTIFACTS}/sources/{source.source_digest}"


def _refuted(ctx: Context) -> list[ObservedJob]:
    """Return the Jobs that found other files than were inspected."""
    return [
        job
        for job in ctx.observed.jobs
        if job.step is Step.FETCH
        and job.state is JobState.FAILED
        and classify(job).reason == SOURCE_CHANGED
    ]


def _inspect_again(ctx: Context) -> StageResult:
    """Forget what was inspected, once the Job that says so is gone.

    The Job that found the change stays until status has forgotten: it is the only one to know.
    """
    result = stage.troubled(
        ConditionType.FETCHED,
        SOURCE_CHANGED,
        "the source changed since it was inspected",
        timedelta(0),
    )
    inspections = [job for job in ctx.observed.jobs if job.step is Step.INSPECT]
    if inspections:
        return result.adding(*_removals(inspections))
    return replace(result, updates={"source": None})


def _removals(jobs: list[ObservedJob]) -> tuple[Remove, ...]:
    return tuple(Remove("Job", job.name, job.uid) for job in jobs)


def _no_volume(ctx: Context) -> StageResult:
    """Wait for the volume: its identity is part of what identifies the work on it."""
    if ctx.model.spec.suspend:
        return suspended(ConditionType.FETCHED)
    return stage.waiting(ConditionType.FETCHED, "Volume")


def _step(ctx: Context, source: SourceStatus) -> StepPlan:
    spec = ctx.model.spec
    result = [spec.source.to_wire(), source.source_digest, ctx.status.claim_uid]
    return StepPlan(
        step=Step.FETCH,
        condition=ConditionType.FETCHED,
        key=keys.digest(*result, spec.storage.size),
        image=ctx.observed.installation.images.operator,
        memory_bytes=FETCH_BYTES,
        memory_field="",
        running_message=f"bringing {source.source_bytes / 1e6:.0f} MB to the volume",
        containers=(Container.FETCH,),
        build=partial(_job, ctx, source),
        result_key=keys.digest(*result),
    )


def _job(ctx: Context, source: SourceStatus, attempt: Attempt) -> WantJob:
    installation = ctx.observed.installation
    task = FetchTask(
        source=source_task(ctx.model.spec.source, installation),
        source_revision=source.source_revision,
        directory=source_directory(source),
        keep_revisions=kept_revisions(ctx),
    )
    node_selector, tolerations = placement(ctx)
    container = WantContainer(
        Container.FETCH, installation.images.operator, task, attempt.memory_bytes, _CPU
    )
    return WantJob(
        name=attempt.name,
        step=Step.FETCH,
        key=attempt.key,
        attempt=attempt.number,
        revision="",
        containers=(container,),
        timeout_seconds=_TIMEOUT_SECONDS,
        claim_name=ctx.claim_name,
        on_one_node=ctx.model.spec.storage.is_on_one_node,
        source=source_access(ctx.model.spec.source, installation),
        node_selector=node_selector,
        tolerations=tolerations,
        pod_template=carried(ctx, Step.FETCH),
    )


def _taken(source: SourceStatus, reports: Reports) -> StageResult:
    found = reports[Container.FETCH].fetched
    if found is None:
        return stage.blocked(
            ConditionType.FETCHED, "ReportInvalid", "the fetch Job reported no files"
        )
    fetched = FetchedStatus(source_digest=source.source_digest, **found.model_dump())
    return StageResult(_fetched(fetched).verdict, {"fetched": fetched})


def _fetched(fetched: FetchedStatus) -> StageResult:
    message = f"{fetched.files} files, {fetched.bytes / 1e6:.0f} MB, verified"
    return stage.done(ConditionType.FETCHED, "Verified", message)
