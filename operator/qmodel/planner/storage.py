"""The model's volume: made once its size is known, kept for every revision."""

from qmodel.api.conditions import ConditionType
from qmodel.api.quantities import bytes_of
from qmodel.api.serving import AccessMode, DeletionPolicy
from qmodel.planner.context import Context, StageResult
from qmodel.planner.model import ObservedClaim, Refusal, WantClaim
from qmodel.planner.recipes import recipe
from qmodel.sizing.artifact import volume_bytes


def plan(ctx: Context) -> StageResult:
    """Want the volume from the moment that inspection allowed it."""
    if ctx.model.spec.storage.existing_claim is not None:
        return StageResult(updates=_files_on(ctx, ctx.claim_name))
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
    """Return why the API server does not make the volume."""
    kind = "PersistentVolumeClaim"
    return next((r for r in ctx.observed.refusals if r.kind == kind), None)


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
    """Return the size: as the user says, else as it is, else computed. A volume never shrinks."""
    existing = 0 if found is None else found.size_bytes
    asked = ctx.model.spec.storage.size
    if asked is not None:
        return max(bytes_of(asked), existing)
    if found is not None:
        return existing
    if ctx.source is None:
        message = "a volume is sized only after its source was inspected"
        raise ValueError(message)
    return volume_bytes(ctx.source, recipe(ctx.model.spec.quantization))


def _files_on(ctx: Context, volume: str | None) -> dict[str, object]:
    """Return what status holds of the volume; what lay on another one is not on this.

    The volume's identity is the uid of its claim; of a claim of the user, which is not watched,
    its name.
    """
    known = ctx.status.claim_uid
    lost = {} if known in {None, volume} else {"fetched": None, "artifact": None}
    return {"claim_uid": volume, **lost}
