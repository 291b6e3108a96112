"""The accelerator: decided once for a source and a wish, so that nodes that come and go move nothing."""

from qmodel.planner import keys
from qmodel.planner.context import Context, StageResult
from qmodel.planner.inspection import context_length
from qmodel.planner.model import Accelerators
from qmodel.api.status import AcceleratorStatus
from qmodel.sizing.estimate import estimate_serve_bytes
from qmodel.sizing.inventory import choose_accelerator


def plan(ctx: Context) -> StageResult:
    """Choose where the model will run, once its source is known."""
    source = ctx.source
    if source is None:
        return StageResult()
    wanted = ctx.model.spec.accelerator
    key = keys.digest(wanted.to_wire(), source.source_digest)
    if ctx.status.accelerator is not None and ctx.status.accelerator.key == key:
        return StageResult()
    need_bytes = estimate_serve_bytes(
        source,
        ctx.model.spec.quantization,
        context_length=context_length(ctx.model, source),
        concurrency=ctx.model.spec.serving.concurrency,
        kv_type=ctx.model.spec.serving.kv_cache_type,
    )
    chosen = choose_accelerator(wanted, ctx.observed.nodes, need_bytes)
    return StageResult(updates={"accelerator": chosen.model_copy(update={"key": key})})


def accelerators(chosen: AcceleratorStatus) -> Accelerators | None:
    """Return what a pod that computes with the model asks for."""
    if chosen.resource_name is None or chosen.count == 0:
        return None
    return Accelerators(chosen.resource_name, chosen.count)
