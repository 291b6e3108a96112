"""`Sized`: from one measurement to what one server is given, by arithmetic."""

from qmodel.api.conditions import ConditionType
from qmodel.api.quantities import mebibytes
from qmodel.api.status import Sizing
from qmodel.engines.llamacpp import UBATCH_TOKENS
from qmodel.planner import context as stage
from qmodel.planner import keys
from qmodel.planner.context import Context, StageResult
from qmodel.planner.inspection import context_length
from qmodel.planner.measure import current_footprint, gpu_layers
from qmodel.planner.server_trouble import SERVE
from qmodel.sizing.footprint import memory_limit_bytes, predict_peak_bytes
from qmodel.sizing.kv_cache import kv_cache_bytes
from qmodel.sizing.processors import SERVER_CPU


def plan(ctx: Context) -> StageResult:
    """Carry the measurement to the context and concurrency that spec asks now."""
    footprint, source = current_footprint(ctx), ctx.source
    if footprint is None or source is None or not ctx.status.is_true(ConditionType.MEASURED):
        return stage.waiting(ConditionType.SIZED, ConditionType.MEASURED)
    serving = ctx.model.spec.serving
    length = context_length(ctx.model, source)
    kv_type = serving.kv_cache_type
    predicted = predict_peak_bytes(footprint, source, length, serving.concurrency, kv_type)
    sizing = Sizing(
        context_length=length,
        concurrency=serving.concurrency,
        predicted_peak_bytes=predicted,
        memory_bytes=memory_limit_bytes(predicted),
        kv_bytes=kv_cache_bytes(source.kv, length, serving.concurrency, kv_type, UBATCH_TOKENS),
        cpu=SERVER_CPU,
        gpu_layers=gpu_layers(ctx),
    )
    sizing = _raised(ctx, footprint.revision, sizing)
    message = (
        f"{mebibytes(sizing.memory_bytes)} memory and {SERVER_CPU} CPU a server for "
        f"{serving.concurrency} x {length} tokens"
    )
    return stage.done(ConditionType.SIZED, "Computed", message, sizing=sizing)


def sizing_key(revision: str, sizing: Sizing) -> str:
    """Return what identifies a sizing, whatever memory it was raised to."""
    return keys.digest(
        revision, sizing.context_length, sizing.concurrency, sizing.predicted_peak_bytes
    )


def _raised(ctx: Context, revision: str, sizing: Sizing) -> Sizing:
    """Return the sizing with the memory of the larger try, if servers were killed for memory."""
    record = ctx.status.step(SERVE)
    if record is None or record.key != sizing_key(revision, sizing):
        return sizing
    return sizing.model_copy(update={"memory_bytes": record.memory_bytes})
