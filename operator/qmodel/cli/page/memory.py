"""Memory of one server as stacked bars: what it would have taken, was thought to take, takes."""

from dataclasses import dataclass
from enum import StrEnum

from qmodel.api.status import FootprintStatus, QuantizedModelStatus, Sizing


class Part(StrEnum):
    """What memory is taken for."""

    WEIGHTS = "Weights"
    KV = "KV cache"
    COMPUTE = "Activations"
    OTHER = "Rest"
    UNSPLIT = "Activations and rest"
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


def bars(status: QuantizedModelStatus) -> list[Bar]:
    """Return the bars that status has figures for, in the order in which they were found out."""
    found, source, artifact = status.footprint, status.source, status.artifact
    if found is None or source is None:
        return []
    stored = artifact.weight_bytes if artifact is not None else found.weights_bytes
    unquantized = _measured(found, source.weight_bytes)
    made = [
        Bar("Unquantized", unquantized, "computed: the same server with the source's weights"),
        Bar("Estimated", _estimated(found, stored), "before anything was measured"),
        measured(found, "Measured"),
    ]
    if status.sizing is not None:
        made.append(Bar("Requested", _requested(found, status.sizing), "request and limit"))
    return made


def measured(found: FootprintStatus, label: str) -> Bar:
    """Return the peak of the real server under full load."""
    load = f"peak with {found.concurrency} x {found.context_length:,} tokens"
    return Bar(label, _measured(found, found.weights_bytes), load)


def _measured(found: FootprintStatus, weights_bytes: int) -> tuple[Segment, ...]:
    """Return the measured parts with those weights; host and accelerator together."""
    known = found.weights_bytes + found.kv_bytes + found.compute_bytes
    peak = found.peak_bytes + found.device_bytes
    return _segments(
        (Part.WEIGHTS, weights_bytes),
        (Part.KV, found.kv_bytes),
        (Part.COMPUTE, found.compute_bytes),
        (Part.OTHER, max(0, peak - known)),
    )


def _estimated(found: FootprintStatus, stored: int) -> tuple[Segment, ...]:
    """Return the estimate; status keeps its sum, and the cache is counted, not estimated."""
    rest = max(0, found.estimated_peak_bytes - stored - found.kv_bytes)
    return _segments((Part.WEIGHTS, stored), (Part.KV, found.kv_bytes), (Part.UNSPLIT, rest))


def _requested(found: FootprintStatus, sizing: Sizing) -> tuple[Segment, ...]:
    """Return the prediction for the asked context and concurrency, and its margin."""
    rest = sizing.predicted_peak_bytes - found.weights_bytes - sizing.kv_bytes
    return _segments(
        (Part.WEIGHTS, found.weights_bytes),
        (Part.KV, sizing.kv_bytes),
        (Part.UNSPLIT, max(0, rest)),
        (Part.MARGIN, max(0, sizing.memory_bytes - sizing.predicted_peak_bytes)),
    )


def _segments(*parts: tuple[Part, int]) -> tuple[Segment, ...]:
    return tuple(Segment(part, count) for part, count in parts if count)
