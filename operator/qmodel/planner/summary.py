"""Status fields for people: one word for the stage, one for memory, one for the accelerator."""

from qmodel.api.conditions import WORK, ConditionStatus
from qmodel.api.quantities import quantity_mib
from qmodel.api.status import QuantizedModelStatus
from qmodel.planner import serve
from qmodel.planner.context import Context
from qmodel.planner.engine import engine_of


def summarise(ctx: Context, status: QuantizedModelStatus) -> QuantizedModelStatus:
    """Return the status with the fields that are derived from the rest."""
    return status.updated(
        {
            "observed_generation": ctx.model.generation,
            "revision": ctx.revision,
            "stage": _stage(status),
            "engine": engine_of(ctx.model, ctx.source),
            "footprint_summary": _footprint(status),
            "accelerator_summary": _accelerator(status),
            **serve.summary(ctx),
        }
    )


def _stage(status: QuantizedModelStatus) -> str:
    """Return the first condition that is not settled, as work in progress."""
    for kind, work in WORK.items():
        found = status.condition(kind)
        if found is None or found.status is ConditionStatus.UNKNOWN:
            return work.value
        if found.status is ConditionStatus.FALSE:
            return "Suspended" if found.reason == "Suspended" else "Failed"
    return "Ready"


def _footprint(status: QuantizedModelStatus) -> str | None:
    """Return what a server takes; before the first is rolled out, what was measured."""
    if status.rollout is not None:
        sizing = status.rollout.sizing
        peak_bytes, device_bytes = sizing.predicted_peak_bytes, sizing.device_bytes
    elif status.footprint is not None:
        peak_bytes, device_bytes = status.footprint.peak_bytes, status.footprint.device_bytes
    else:
        return None
    on_gpu = f" + {quantity_mib(device_bytes)} GPU" if device_bytes else ""
    return quantity_mib(peak_bytes) + on_gpu


def _accelerator(status: QuantizedModelStatus) -> str | None:
    chosen = status.accelerator
    if chosen is None:
        return None
    return "CPU" if chosen.count == 0 else f"{chosen.count} x {chosen.resource_name}"
