"""The model's volume: made once its size is known, kept for every revision."""

from qmodel.api.conditions import ConditionType
from qmodel.api.quantities import bytes_of
from qmodel.api.serving import AccessMode, DeletionPolicy
from qmodel.planner.context import Context, StageResult
from qmodel.planner.estimates import artifact_bytes
from qmodel.planner.model import WantClaim
from qmodel.sizing.estimate import volume_bytes


def plan(ctx: Context) -> StageResult:
    """Want the volume from the moment that inspection allowed it."""
    storage = ctx.model.spec.storage
    if storage.existing_claim is not None or not _wanted(ctx):
        return StageResult()
    want = WantClaim(
        name=ctx.claim_name,
        size_bytes=_size_bytes(ctx),
        storage_class_name=storage.storage_class_name,
        access_mode=storage.access_mode or AccessMode.READ_WRITE_ONCE,
        owned=storage.deletion_policy is DeletionPolicy.DELETE,
    )
    return StageResult(updates=_forget_lost_files(ctx), wishes=(want,))


def _wanted(ctx: Context) -> bool:
    """Whether there is a volume already, or work that may begin needs one."""
    if ctx.observed.claim is not None:
        return True
    return ctx.status.is_true(ConditionType.INSPECTED) and not ctx.model.spec.suspend


def _size_bytes(ctx: Context) -> int:
    """Return the size: as the user says, else as it is, else computed."""
    if ctx.model.spec.storage.size is not None:
        return bytes_of(ctx.model.spec.storage.size)
    if ctx.observed.claim is not None:
        return ctx.observed.claim.size_bytes
    if ctx.source is None:
        message = "a volume is sized only after its source was inspected"
        raise ValueError(message)
    return volume_bytes(ctx.source, artifact_bytes(ctx.model.spec, ctx.source))


def _forget_lost_files(ctx: Context) -> dict[str, object]:
    """Return what to take out of status when the volume was replaced by an empty one."""
    claim = ctx.observed.claim
    known = ctx.status.claim_uid
    if claim is None or known == claim.uid:
        return {}
    lost = {"fetched": None, "artifact": None} if known is not None else {}
    return {"claim_uid": claim.uid, **lost}
