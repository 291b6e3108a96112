"""The accelerator: decided once for a source and a wish.

Nodes that come and go later move nothing.
"""

from qmodel.api.status import AcceleratorStatus
from qmodel.planner import keys, serving_fit
from qmodel.planner.context import Context, StageResult
from qmodel.planner.estimates import artifact_bytes, device_bytes
from qmodel.planner.model import Accelerators
from qmodel.sizing.inventory import choose_accelerator


def plan(ctx: Context) -> StageResult:
    """Choose where the model will run, once its source is known."""
    source = ctx.source
    if source is None or serving_fit.problem(ctx.model, source) is not None:
        return StageResult()
    wanted = ctx.model.spec.accelerator
    key = keys.accelerator_key(wanted, source.source_digest)
    if ctx.status.accelerator is not None and ctx.status.accelerator.key == key:
        return StageResult()
    weight_bytes = artifact_bytes(ctx.model.spec, source)
    need_bytes = device_bytes(ctx.model, source, weight_bytes, wanted.count)
    chosen = choose_accelerator(wanted, ctx.observed.nodes, need_bytes, key)
    return StageResult(updates={"accelerator": chosen})


def accelerators(chosen: AcceleratorStatus) -> Accelerators | None:
    """Return what a pod that computes with the model asks for."""
    if chosen.resource_name is None or chosen.count == 0:
        return None
    return Accelerators(chosen.resource_name, chosen.count)
