"""`Sized`: from one measurement to what one server is given, by arithmetic.

What was computed stays until something that it was computed from changes: a release with another
margin or other shares restarts no server.
"""

from qmodel.api.conditions import ConditionType
from qmodel.api.quantities import quantity_mib
from qmodel.api.serving import Engine
from qmodel.api.status import FootprintStatus, Sizing, SizingStatus, SourceStatus
from qmodel.engines.llamacpp import ALL_LAYERS
from qmodel.planner import context as stage
from qmodel.planner import keys
from qmodel.planner.context import Context, StageResult
from qmodel.planner.engine import computing_gpus, gpu_count, load_of, server_cpu
from qmodel.planner.estimates import needed_device_bytes
from qmodel.planner.footprint import current_footprint
from qmodel.planner.server_trouble import SERVE
from qmodel.sizing.margin import memory_limit_bytes
from qmodel.sizing.memory import MEMORY

GPU_TOO_SMALL = "GPUTooSmall"


def plan(ctx: Context) -> StageResult:
    """Carry the measurement to the context and concurrency that spec asks now."""
    footprint, source = current_footprint(ctx), ctx.source
    if footprint is None or source is None or not ctx.status.is_true(ConditionType.MEASURED):
        return stage.waiting(ConditionType.SIZED, ConditionType.MEASURED)
    sizing, key = ctx.status.sizing, _key(ctx, footprint)
    if sizing is None or sizing.key != key:
        sizing = _computed(ctx, footprint, source, key)
        too_small = _too_small(ctx, footprint, source, sizing)
        if too_small is not None:
            return too_small
    sizing = _raised(ctx, footprint.revision, sizing)
    return stage.done(ConditionType.SIZED, "Computed", _message(sizing), sizing=sizing)


def _key(ctx: Context, footprint: FootprintStatus) -> str:
    """Return what a sizing is computed from, as users write it."""
    serving = ctx.model.spec.serving
    measured = [footprint.revision, footprint.key, footprint.peak_bytes, footprint.device_bytes]
    return keys.digest(measured, serving.context_length, serving.concurrency)


def _computed(
    ctx: Context, footprint: FootprintStatus, source: SourceStatus, key: str
) -> SizingStatus:
    """Return what one server is given."""
    load = load_of(ctx.model, source, gpu_count(ctx))
    arithmetic = MEMORY[footprint.engine]
    predicted = arithmetic.predict_peak_bytes(footprint, source, load)
    return SizingStatus(
        key=key,
        context_length=load.context_length,
        concurrency=load.concurrency,
        predicted_peak_bytes=predicted,
        memory_bytes=memory_limit_bytes(predicted),
        kv_bytes=arithmetic.kv_bytes(source, load),
        cpu=server_cpu(ctx.model),
        gpu_layers=_gpu_layers(ctx, footprint.engine),
        device_bytes=arithmetic.predict_device_bytes(footprint, source, load),
    )


def _too_small(
    ctx: Context, footprint: FootprintStatus, source: SourceStatus, sizing: Sizing
) -> StageResult | None:
    """Return why the chosen GPUs do not hold the server; as much as was measured they do hold."""
    chosen = ctx.status.accelerator
    if chosen is None or not chosen.memory_bytes or sizing.device_bytes <= footprint.device_bytes:
        return None
    needed = needed_device_bytes(ctx.model, source, sizing.device_bytes, chosen.count)
    if needed <= chosen.memory_bytes:
        return None
    idle = chosen.count - computing_gpus(ctx.model, source, chosen.count)
    unused = f", of which spec.serving.tensorParallelSize leaves {idle} idle" if idle else ""
    message = (
        f"{sizing.concurrency} x {sizing.context_length} tokens take"
        f" {quantity_mib(sizing.device_bytes)} of GPU memory, but {chosen.count} x"
        f" {chosen.resource_name} have {quantity_mib(chosen.memory_bytes)}{unused}: lower"
        " spec.serving.contextLength or concurrency, or name larger GPUs or more of them in"
        " spec.accelerator (nodeSelector, count)"
    )
    return stage.blocked(ConditionType.SIZED, GPU_TOO_SMALL, message)


def _message(sizing: Sizing) -> str:
    gpu = f", {quantity_mib(sizing.device_bytes)} of GPU memory" if sizing.device_bytes else ""
    return (
        f"{quantity_mib(sizing.memory_bytes)} memory{gpu} and {sizing.cpu} CPU a server for "
        f"{sizing.concurrency} x {sizing.context_length} tokens"
    )


def _gpu_layers(ctx: Context, engine: Engine) -> int:
    """Return the layers that llama.cpp offloads: all of them on a GPU, none without."""
    return ALL_LAYERS if engine is Engine.LLAMA_CPP and gpu_count(ctx) else 0


def sizing_key(revision: str, sizing: Sizing) -> str:
    """Return what identifies a sizing, whatever memory it was raised to."""
    return keys.digest(
        revision, sizing.context_length, sizing.concurrency, sizing.predicted_peak_bytes
    )


def _raised(ctx: Context, revision: str, sizing: SizingStatus) -> SizingStatus:
    """Return the sizing with the memory of the larger try, if servers were killed for memory."""
    record = ctx.status.step(SERVE)
    if record is None or record.key != sizing_key(revision, sizing):
        return sizing
    return sizing.model_copy(update={"memory_bytes": record.memory_bytes})
