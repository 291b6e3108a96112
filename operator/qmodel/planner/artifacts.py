"""What lies on the model's volume, and what of it a step must leave there."""

from qmodel.api.status import ArtifactStatus
from qmodel.planner.context import Context


def current_artifact(ctx: Context) -> ArtifactStatus | None:
    """Return the artifact, if it is the wanted revision's."""
    artifact = ctx.status.artifact
    return artifact if artifact is not None and artifact.revision == ctx.revision else None


def serving_artifact(ctx: Context) -> ArtifactStatus | None:
    """Return the artifact, if it is the one that serves."""
    artifact, rollout = ctx.status.artifact, ctx.status.rollout
    serves = artifact is not None and rollout is not None and artifact.revision == rollout.revision
    return artifact if serves else None


def kept_revisions(ctx: Context) -> list[str] | None:
    """Return the artifacts that must stay; None where other models may use the volume."""
    if ctx.model.spec.storage.existing_claim is not None:
        return None
    rollout = ctx.status.rollout
    return sorted({ctx.revision or "", *([rollout.revision] if rollout is not None else [])})
