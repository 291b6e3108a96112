"""The measurement that still speaks of what spec asks, whether the model is measured now or not."""

from qmodel.api.status import FootprintStatus
from qmodel.planner import keys
from qmodel.planner.context import Context
from qmodel.planner.engine import engine_of


def current_footprint(ctx: Context) -> FootprintStatus | None:
    """Return the footprint, if it was measured on this revision with the arguments asked now."""
    found = ctx.status.footprint
    if found is None or found.revision != ctx.revision:
        return None
    return found if found.key == serving_key(ctx) else None


def serving_key(ctx: Context) -> str:
    """Return what a measurement depends on besides the artifact."""
    chosen = ctx.status.accelerator
    return keys.serving_key(
        ctx.model.spec.serving,
        engine_of(ctx.model, ctx.source),
        None if chosen is None else chosen.resource_name,
        None if chosen is None else chosen.count,
    )
