"""The measurement that still speaks of what spec asks, whether the model is measured now or not.

GPUs are another model of GPU where spec names other nodes. What the operator adds to those labels
does not count: it follows the nodes that there are, and an estimate.
"""

from qmodel.api.placement import NodeSelector
from qmodel.api.status import FootprintStatus
from qmodel.planner import keys
from qmodel.planner.context import Context
from qmodel.planner.engine import engine_of, gpu_count


def current_footprint(ctx: Context) -> FootprintStatus | None:
    """Return the footprint, if it was measured on this revision with the arguments asked now.

    One of a release that did not note the nodes is taken as measured on those that spec names.
    """
    found = ctx.status.footprint
    if found is None or found.revision != ctx.revision or found.key != serving_key(ctx):
        return None
    return found if found.node_selector in (None, named_nodes(ctx)) else None


def named_nodes(ctx: Context) -> NodeSelector | None:
    """Return the labels by which spec names the nodes with the chosen GPUs; None on a CPU."""
    return (ctx.model.spec.accelerator.node_selector or {}) if gpu_count(ctx) else None


def serving_key(ctx: Context) -> str:
    """Return what a measurement depends on besides the artifact."""
    chosen = ctx.status.accelerator
    return keys.serving_key(
        ctx.model.spec.serving,
        engine_of(ctx.model, ctx.source),
        None if chosen is None else chosen.resource_name,
        None if chosen is None else chosen.count,
    )
