"""The accelerator: decided for a source and a wish, and by Auto for what is made and asked of it.

Nodes that come and go later move nothing, nor does a release that estimates otherwise. An edit does
where the GPUs no longer hold the model, or where it runs on a CPU and the recipe is another, or the
GPUs that were too small would hold it now. What was measured on GPUs is not sent to a CPU, which is
so much slower that nobody would mean it: sizing says that it does not fit.
"""

from qmodel.api.serving import AcceleratorType
from qmodel.api.status import AcceleratorStatus, SourceStatus
from qmodel.planner import keys, serving_fit
from qmodel.planner.context import Context, StageResult
from qmodel.planner.engine import engine_of
from qmodel.planner.estimates import (
    artifact_bytes,
    device_bytes,
    needed_device_bytes,
    predicted_device_bytes,
)
from qmodel.planner.footprint import current_footprint
from qmodel.planner.images import chart_value, serves
from qmodel.planner.wishes import Accelerators
from qmodel.sizing.inventory import choose_accelerator, choose_cpu


def plan(ctx: Context) -> StageResult:
    """Choose where the model will run, once its source is known."""
    source = ctx.source
    if source is None or serving_fit.problem(ctx.model, source) is not None:
        return StageResult()
    key = keys.accelerator_key(ctx.model.spec.accelerator, source.source_digest)
    present = ctx.status.accelerator
    if present is None or present.key != key:
        chosen = _choice(ctx, source, key)
    elif _is_judged(ctx, source, present):
        return StageResult()
    else:
        chosen = present if _holds(ctx, source, present) else _other(ctx, source, present)
    return StageResult(updates={"accelerator": chosen.updated(_judged_for(ctx, source))})


def accelerators(chosen: AcceleratorStatus) -> Accelerators | None:
    """Return what a pod that computes with the model asks for."""
    if chosen.resource_name is None or chosen.count == 0:
        return None
    return Accelerators(chosen.resource_name, chosen.count)


def _choice(ctx: Context, source: SourceStatus, key: str) -> AcceleratorStatus:
    """Return the choice that spec and nodes as they are now lead to."""
    wanted = ctx.model.spec.accelerator
    image = serves(engine_of(ctx.model, source), wanted.count)
    if wanted.type is AcceleratorType.AUTO and not ctx.observed.installation.images.named(image):
        return choose_cpu(key, f"Auto: the installation names no {chart_value(image)}")
    need_bytes = _estimated_bytes(ctx, source)
    return choose_accelerator(wanted, ctx.observed.nodes, need_bytes, key)


def _other(ctx: Context, source: SourceStatus, present: AcceleratorStatus) -> AcceleratorStatus:
    """Return another choice for what the present one does not hold."""
    chosen = _choice(ctx, source, present.key)
    was_measured = current_footprint(ctx) is not None
    if present.type is AcceleratorType.GPU and chosen.type is AcceleratorType.CPU and was_measured:
        return present
    return chosen


def _judged_for(ctx: Context, source: SourceStatus) -> dict[str, str | None]:
    """Return what a choice is judged for, of Auto."""
    if ctx.model.spec.accelerator.type is not AcceleratorType.AUTO:
        return {}
    engine = engine_of(ctx.model, source)
    return {
        "revision": ctx.revision,
        "load_key": keys.load_key(ctx.model.spec.serving, engine),
    }


def _is_judged(ctx: Context, source: SourceStatus, present: AcceleratorStatus) -> bool:
    """Whether nothing was edited that the choice depends on.

    A choice of a release that did not note what it was for is taken as one for the last revision.
    """
    asked = _judged_for(ctx, source)
    if present.load_key is None:
        return not asked or ctx.status.revision == ctx.revision
    return asked == {"revision": present.revision, "load_key": present.load_key}


def _holds(ctx: Context, source: SourceStatus, present: AcceleratorStatus) -> bool:
    """Whether the present choice is right for what spec asks now."""
    known = present.memory_bytes
    fits = known >= _estimated_bytes(ctx, source)
    if present.type is AcceleratorType.CPU:
        return present.revision == ctx.revision and not (known and fits)
    footprint = current_footprint(ctx)
    if known and not fits and footprint is not None:
        taken = predicted_device_bytes(ctx.model, source, footprint, present.count)
        return known >= needed_device_bytes(ctx.model, source, taken, present.count)
    return not known or fits


def _estimated_bytes(ctx: Context, source: SourceStatus) -> int:
    """Return what the GPUs of one server must have, from headers."""
    count = ctx.model.spec.accelerator.count
    taken = device_bytes(ctx.model, source, artifact_bytes(ctx.model.spec, source), count)
    return needed_device_bytes(ctx.model, source, taken, count)
