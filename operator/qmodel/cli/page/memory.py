"""Memory of one server as stacked bars: what it would have taken, was thought to take, takes.

Memory of the host and of GPUs are never added: each has its own bars, and its own scale.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from qmodel.api.resource import QuantizedModel
from qmodel.api.serving import DType, Engine
from qmodel.api.status import FootprintStatus, QuantizedModelStatus, Sizing, SourceStatus
from qmodel.sizing.vllm import most_source_bytes

GPU = "GPU memory"
UNPACKED_SHARE = 0.8
"""Of the most that vLLM's weights can hold on a CPU: unquantized ones held 0.86 and 0.92 of it,
441 and 470 MiB of 513 for a file of 257."""
_BEFORE = "before anything was measured"


class Part(StrEnum):
    """What memory is taken for."""

    WEIGHTS = "Weights"
    KV = "KV cache"
    COMPUTE = "Activations"
    OTHER = "Rest"
    UNSPLIT = "Activations and rest"
    HOST = "Processes and loading"
    """Of a server on GPUs."""
    MARGIN = "Margin"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a bar."""

    part: Part
    bytes: int


@dataclass(frozen=True, slots=True)
class Bar:
    """Memory of one server, in parts that add up to it."""

    label: str
    segments: tuple[Segment, ...]
    note: str

    @property
    def bytes(self) -> int:
        """Length of the whole bar."""
        return sum(segment.bytes for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Split:
    """Measured memory of the host, or of all GPUs together, by what it is taken for; in bytes."""

    weights: int
    kv: int
    compute: int
    other: int


def on_host(found: FootprintStatus) -> Split:
    """Return the parts of the host's peak: all parts, unless layers lie on GPUs.

    Of these, llama.cpp keeps embeddings on the host, and buffers that are small beside them: what
    it has there counts as weights first.
    """
    weights, kv, compute = found.weights_bytes, found.kv_bytes, found.compute_bytes
    if found.device_bytes:
        buffers = max(0, found.peak_bytes - found.other_bytes)
        weights, kv = min(weights, buffers), 0
        compute = min(compute, buffers - weights)
    return Split(weights, kv, compute, max(0, found.peak_bytes - weights - kv - compute))


def on_gpus(found: FootprintStatus) -> Split:
    """Return the parts of the peak on GPUs: what the host does not have."""
    host = on_host(found)
    weights, kv = found.weights_bytes - host.weights, found.kv_bytes - host.kv
    compute = found.compute_bytes - host.compute
    return Split(weights, kv, compute, max(0, found.device_bytes - weights - kv - compute))


def host_name(models: Sequence[QuantizedModel]) -> str:
    """Return how the host's memory is called: by that name only where there are GPUs beside it."""
    footprints = (model.status.footprint for model in models)
    return "Host memory" if any(found and found.device_bytes for found in footprints) else "Memory"


def bars(status: QuantizedModelStatus) -> list[Bar]:
    """Return the host's bars, those that status has figures for in the order of their finding."""
    found, source = status.footprint, status.source
    if found is None or source is None:
        return []
    grown = _growth(found, status, source)
    made = [] if found.device_bytes else [_unquantized(on_host(found), grown)]
    made += [Bar("Estimated", _estimated(found, status), _BEFORE), measured(found, "Measured")]
    if status.sizing is not None:
        made.append(Bar("Requested", _requested(found, status.sizing), "request and limit"))
    return made


def gpu_bars(status: QuantizedModelStatus) -> list[Bar]:
    """Return the bars of all GPUs together; none on a CPU."""
    found, source = status.footprint, status.source
    if found is None or source is None or not found.device_bytes:
        return []
    return list(_gpu_bars(found, status, _growth(found, status, source)))


def _gpu_bars(found: FootprintStatus, status: QuantizedModelStatus, grown: float) -> Iterator[Bar]:
    parts, sizing = on_gpus(found), status.sizing
    yield _unquantized(parts, grown)
    if found.estimated_device_bytes is not None:
        stored = _stored(found, status)
        estimated = _with_rest(found.estimated_device_bytes, stored, found.kv_bytes)
        yield Bar("Estimated", _segments(*estimated), _BEFORE)
    yield measured_on_gpus(found, "Measured")
    if sizing is not None and sizing.device_bytes:
        predicted = _with_rest(sizing.device_bytes, parts.weights, sizing.kv_bytes)
        note = f"for {_load(sizing)}; GPUs are requested whole"
        yield Bar("Predicted", _segments(*predicted), note)


def measured(found: FootprintStatus, label: str) -> Bar:
    """Return the peak of the real server under full load, on the host."""
    rest = Part.HOST if found.device_bytes else Part.OTHER
    return Bar(label, _measured(on_host(found), rest), f"peak with {_load(found)}")


def measured_on_gpus(found: FootprintStatus, label: str) -> Bar:
    """Return the same on all its GPUs together."""
    return Bar(label, _measured(on_gpus(found), Part.OTHER), f"peak with {_load(found)}")


def _load(of: FootprintStatus | Sizing) -> str:
    return f"{of.concurrency} x {of.context_length:,} tokens"


def _unquantized(parts: Split, grown: float) -> Bar:
    """Return what was measured, with weights so many times as large."""
    whole = Split(round(parts.weights * grown), parts.kv, parts.compute, parts.other)
    note = "computed: the same server with the source's weights"
    return Bar("Unquantized", _measured(whole, Part.OTHER), note)


def _growth(found: FootprintStatus, status: QuantizedModelStatus, source: SourceStatus) -> float:
    """Return how many times what was measured the source's weights would take in memory.

    That is what their files are of the artifact's, as long as the engine makes the same of both.
    vLLM does not on a CPU: it unpacks what it has no kernel for to 16 bits, and holds embeddings,
    which stay as they are, twice in both. So they never take more than they can; and what takes
    nearly as much already is unpacked, and grows no more.
    """
    grown = source.weight_bytes / _stored(found, status)
    if grown <= 1 or not found.weights_bytes:
        return grown
    if found.engine is not Engine.VLLM:
        return min(grown, source.weight_bytes / found.weights_bytes)
    is_wide = DType.FLOAT32 in found.argv
    most = most_source_bytes(source, found, is_wide=is_wide) / found.weights_bytes
    is_unpacked = not found.device_bytes and most <= 1 / UNPACKED_SHARE
    return min(1.0 if is_unpacked else grown, most)


def _measured(parts: Split, rest: Part) -> tuple[Segment, ...]:
    return _segments(
        (Part.WEIGHTS, parts.weights),
        (Part.KV, parts.kv),
        (Part.COMPUTE, parts.compute),
        (rest, parts.other),
    )


def _stored(found: FootprintStatus, status: QuantizedModelStatus) -> int:
    return status.artifact.weight_bytes if status.artifact is not None else found.weights_bytes


def _estimated(found: FootprintStatus, status: QuantizedModelStatus) -> tuple[Segment, ...]:
    """Return the host's estimate; status keeps its sum, and the cache is counted, not estimated."""
    if found.device_bytes:
        return _segments((Part.HOST, found.estimated_peak_bytes))
    stored = _stored(found, status)
    return _segments(*_with_rest(found.estimated_peak_bytes, stored, found.kv_bytes))


def _requested(found: FootprintStatus, sizing: Sizing) -> tuple[Segment, ...]:
    """Return the prediction for the asked context and concurrency, and its margin."""
    predicted = sizing.predicted_peak_bytes
    margin = (Part.MARGIN, max(0, sizing.memory_bytes - predicted))
    if found.device_bytes:
        return _segments((Part.HOST, predicted), margin)
    return _segments(*_with_rest(predicted, found.weights_bytes, sizing.kv_bytes), margin)


def _with_rest(whole: int, weights: int, kv: int) -> list[tuple[Part, int]]:
    """Return a sum of which weights and cache are known."""
    rest = max(0, whole - weights - kv)
    return [(Part.WEIGHTS, weights), (Part.KV, kv), (Part.UNSPLIT, rest)]


def _segments(*parts: tuple[Part, int]) -> tuple[Segment, ...]:
    return tuple(Segment(part, count) for part, count in parts if count)
