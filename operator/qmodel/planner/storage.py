"""The model's volume: made once its size is known, kept for every revision.

A claim of the user is not watched: that it was replaced or damaged is learnt from the servers,
whose pods check the artifact before they serve it. The files are then no longer believed to be
there, and the steps make again what is missing.

It grows where a revision that is to be made needs more than an earlier one did. A class that cannot
expand refuses that, and the work goes on with what there is: it may be enough.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from qmodel.api.conditions import ConditionStatus, ConditionType
from qmodel.api.quantities import bytes_of, quantity_mib
from qmodel.api.serving import AccessMode, DeletionPolicy
from qmodel.planner import context as stage
from qmodel.planner.artifacts import current_artifact, serving_artifact
from qmodel.planner.containers import Step
from qmodel.planner.context import Context, StageResult
from qmodel.planner.observed import JobState, ObservedClaim, Refusal
from qmodel.planner.recipes import recipe
from qmodel.planner.server_trouble import damage
from qmodel.planner.step import StepPlan
from qmodel.planner.wishes import Remove, WantClaim
from qmodel.sizing.artifact import volume_bytes


def plan(ctx: Context) -> StageResult:
    """Want the volume from the moment that inspection allowed it."""
    if ctx.model.spec.storage.existing_claim is not None:
        return _claim_of_the_user(ctx)
    if not _wanted(ctx):
        return StageResult()
    found = observed_claim(ctx)
    volume = None if found is None else found.uid
    return StageResult(updates=_files_on(ctx, volume), wishes=(_claim(ctx, found),))


def observed_claim(ctx: Context) -> ObservedClaim | None:
    """Return the model's own claim, if it is there."""
    found = ctx.observed.claim
    return found if found is not None and found.name == ctx.claim_name else None


def refused_claim(ctx: Context) -> Refusal | None:
    """Return why the API server does not make the volume, or make it as spec says."""
    return None if _grows_by_itself(ctx) else _refusal(ctx)


def noting_growth(ctx: Context, result: StageResult) -> StageResult:
    """Return the result of a step that works on the volume, saying also what that is refused."""
    verdict, refused = result.verdict, _refusal(ctx)
    if verdict is None or verdict.status is ConditionStatus.TRUE:
        return result
    if refused is None or not _grows_by_itself(ctx):
        return result
    size = quantity_mib(_size_bytes(ctx, observed_claim(ctx)))
    told = f"the volume does not grow to {size}, {refused.reason}: {refused.message}"
    return replace(result, verdict=replace(verdict, message=f"{verdict.message}; {told}"))


def is_growing(ctx: Context) -> bool:
    """Whether the volume has been promised more than it has yet."""
    found = observed_claim(ctx)
    return found is not None and found.capacity_bytes < found.size_bytes


def forgetting(step: StepPlan, updates: Mapping[str, object]) -> StageResult:
    """Return the result that takes out of status what the step's Job removes, before it is made.

    An edit while it runs may ask for those files again.
    """
    now = timedelta(0)
    result = stage.working(step.condition, step.running_message, now)
    return replace(result, updates=updates)


def _claim_of_the_user(ctx: Context) -> StageResult:
    """Return what lies on it; where that is damaged, nothing, once no ended Job tells otherwise."""
    updates = _files_on(ctx, ctx.claim_name)
    if not _is_damaged(ctx):
        return StageResult(updates=updates)
    ended = [job for job in ctx.observed.jobs if job.state is not JobState.ACTIVE]
    told = [job for job in ended if job.step in {Step.FETCH, Step.QUANTIZE}]
    if told:
        removals = (Remove("Job", job.name, job.uid) for job in told)
        return StageResult(updates=updates, wishes=tuple(removals))
    return StageResult(updates={**updates, "fetched": None, "artifact": None})


def _is_damaged(ctx: Context) -> bool:
    """Whether a server found the artifact damaged since it was last made or verified.

    A pod counts only if it is younger: an older one looks again by itself, and no pod has the
    artifact made twice.
    """
    artifact, record = current_artifact(ctx), ctx.status.step(Step.QUANTIZE)
    if artifact is None or record is None or record.finished is None or ctx.model.spec.suspend:
        return False
    servers, verified = ctx.observed.deployment(artifact.revision), record.finished
    return servers is not None and any(
        damage(pod) is not None and pod.created > datetime.fromisoformat(verified)
        for pod in servers.pods
    )


def _refusal(ctx: Context) -> Refusal | None:
    """Return the API server's refusal of the claim."""
    kind = "PersistentVolumeClaim"
    return next((r for r in ctx.observed.refusals if r.kind == kind), None)


def _grows_by_itself(ctx: Context) -> bool:
    """Whether the claim is asked to grow though spec does not say so."""
    found = observed_claim(ctx)
    if found is None or ctx.model.spec.storage.size is not None:
        return False
    return _size_bytes(ctx, found) > found.size_bytes


def _claim(ctx: Context, found: ObservedClaim | None) -> WantClaim:
    storage = ctx.model.spec.storage
    return WantClaim(
        name=ctx.claim_name,
        size_bytes=_size_bytes(ctx, found),
        storage_class_name=storage.storage_class_name,
        access_mode=storage.access_mode or AccessMode.READ_WRITE_ONCE,
        owned=storage.deletion_policy is DeletionPolicy.DELETE,
    )


def _wanted(ctx: Context) -> bool:
    """Whether there is a volume already, or work that may begin needs one."""
    if observed_claim(ctx) is not None:
        return True
    return ctx.status.is_true(ConditionType.INSPECTED) and not ctx.model.spec.suspend


def _size_bytes(ctx: Context, found: ObservedClaim | None) -> int:
    """Return the size: as the user says, else what is to be made needs. A volume never shrinks."""
    existing = 0 if found is None else found.size_bytes
    asked = ctx.model.spec.storage.size
    if asked is not None:
        return max(bytes_of(asked), existing)
    if found is not None and not _is_built(ctx):
        return existing
    if ctx.source is None:
        message = "a volume is sized only after its source was inspected"
        raise ValueError(message)
    serving = serving_artifact(ctx)
    served_bytes = 0 if serving is None else serving.bytes
    needed = volume_bytes(ctx.source, recipe(ctx.model.spec.quantization), served_bytes)
    return max(needed, existing)


def _is_built(ctx: Context) -> bool:
    """Whether an artifact is to be made now."""
    allowed = ctx.status.is_true(ConditionType.INSPECTED) and not ctx.model.spec.suspend
    return allowed and ctx.source is not None and current_artifact(ctx) is None


def _files_on(ctx: Context, volume: str | None) -> dict[str, object]:
    """Return what status holds of the volume; what lay on another one is not on this.

    The volume's identity is the uid of its claim; of a claim of the user, which is not watched,
    its name.
    """
    known = ctx.status.claim_uid
    lost = {} if known in {None, volume} else {"fetched": None, "artifact": None}
    return {"claim_uid": volume, **lost}
