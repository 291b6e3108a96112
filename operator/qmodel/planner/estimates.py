"""What is expected before anything was measured, from spec and the resolved source."""

from qmodel.api.resource import QuantizedModel
from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import FootprintStatus, SourceStatus
from qmodel.planner.engine import computing_gpus, engine_of, load_of
from qmodel.planner.recipes import recipe
from qmodel.sizing import artifact, steps
from qmodel.sizing.memory import MEMORY


def artifact_bytes(spec: QuantizedModelSpec, source: SourceStatus) -> int:
    """Return the bytes of the artifact's weights."""
    return artifact.artifact_bytes(source, recipe(spec.quantization))


def host_bytes(
    model: QuantizedModel, source: SourceStatus, weight_bytes: int, accelerator_count: int
) -> int:
    """Return the host's share of one server's peak, with all layers on that many accelerators."""
    arithmetic = MEMORY[engine_of(model, source)]
    load = load_of(model, source, accelerator_count)
    return arithmetic.estimate_peak_bytes(source, weight_bytes, load, accelerator_count)


def device_bytes(
    model: QuantizedModel, source: SourceStatus, weight_bytes: int, accelerator_count: int
) -> int:
    """Return the share of so many accelerators together."""
    arithmetic = MEMORY[engine_of(model, source)]
    load = load_of(model, source, accelerator_count)
    computing = computing_gpus(model, source, accelerator_count)
    return arithmetic.estimate_device_bytes(source, weight_bytes, load, computing)


def predicted_device_bytes(
    model: QuantizedModel, source: SourceStatus, footprint: FootprintStatus, accelerator_count: int
) -> int:
    """Return the share of so many accelerators together, carried from a measurement."""
    load = load_of(model, source, accelerator_count)
    return MEMORY[footprint.engine].predict_device_bytes(footprint, source, load)


def needed_device_bytes(
    model: QuantizedModel, source: SourceStatus, taken_bytes: int, accelerator_count: int
) -> int:
    """Return what all accelerators must have together, so that those that compute hold this."""
    computing = computing_gpus(model, source, accelerator_count)
    return -(-taken_bytes * accelerator_count // max(computing, 1))


def quantize_bytes(spec: QuantizedModelSpec, source: SourceStatus, accelerator_count: int) -> int:
    """Return the memory of the quantize Job, whose containers run one after another."""
    wanted = recipe(spec.quantization)
    making = steps.quantize_bytes(wanted, source, accelerator_count)
    if wanted.backend is None:
        return making
    return max(making, steps.evaluate_bytes(wanted, source, artifact_bytes(spec, source)))


def quantize_shared_bytes(
    spec: QuantizedModelSpec, source: SourceStatus, accelerator_count: int
) -> int:
    """Return what of that memory is shared among the Job's processes."""
    return steps.quantize_shared_bytes(recipe(spec.quantization), source, accelerator_count)
