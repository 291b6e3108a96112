"""What is expected before anything was measured, from spec and the resolved source."""

from qmodel.api.quantization import Method
from qmodel.api.resource import QuantizedModel
from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import SourceStatus
from qmodel.planner.inspection import context_length
from qmodel.planner.model import Container
from qmodel.sizing import estimate


def artifact_bytes(spec: QuantizedModelSpec, source: SourceStatus) -> int:
    """Return the bytes of the artifact's weights."""
    method = spec.quantization.method
    kind = None if method is Method.NONE else spec.quantization.gguf_options.type
    return estimate.estimate_artifact_bytes(source, method, kind)


def serve_bytes(model: QuantizedModel, source: SourceStatus, weight_bytes: int) -> int:
    """Return the peak of one server, in bytes."""
    serving = model.spec.serving
    return estimate.estimate_serve_bytes(
        source,
        weight_bytes,
        context_length(model, source),
        serving.concurrency,
        serving.kv_cache_type,
    )


def quantize_bytes(spec: QuantizedModelSpec, source: SourceStatus) -> int:
    """Return the memory of the quantize Job, whose containers run one after another."""
    weights = artifact_bytes(spec, source)
    return max(
        estimate.estimate_step_memory(container, source, weights, 0)
        for container in (Container.QUANTIZE, Container.EVALUATE)
    )


def measure_bytes(model: QuantizedModel, source: SourceStatus, weight_bytes: int) -> int:
    """Return the memory of the measure Job."""
    served = serve_bytes(model, source, weight_bytes)
    return estimate.estimate_step_memory(Container.MEASURE, source, weight_bytes, served)
