"""The charts of a page, each with its figures as a table for whoever cannot see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from qmodel.api.resource import QuantizedModel
from qmodel.cli.durations import duration
from qmodel.cli.page.charts import memory as memory_chart
from qmodel.cli.page.charts import quality as quality_chart
from qmodel.cli.page.charts import timing as timing_chart
from qmodel.cli.page.charts import weights as weights_chart
from qmodel.cli.page.drawing import Picture, picture, small_picture
from qmodel.cli.page.memory import Bar
from qmodel.cli.page.quality import DIVERGENCE, Gauge, gauges
from qmodel.cli.page.timing import Span
from qmodel.cli.page.weights import points
from qmodel.cli.units import mebibytes, megabytes
from qmodel.worker.details import Details, ExampleLayer

Rows = Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart and what it shows, in words and as a table.

    Parameters
    ----------
    said
        What the chart shows, for whoever does not see it.
    """

    picture: Picture
    said: str
    header: tuple[str, ...]
    rows: Rows
    legend: dict[str, str] = field(default_factory=dict)
    """What each colour stands for."""


def memory(bars: Sequence[Bar], name: str) -> Figure:
    """Return the memory of servers, of the host or of GPUs as the name says."""
    rows = [
        (bar.label, segment.part.value, mebibytes(segment.bytes), bar.note)
        for bar in bars
        for segment in bar.segments
    ]
    sums = ", ".join(f"{bar.label} {mebibytes(bar.bytes)}" for bar in bars)
    drawn = picture(partial(memory_chart.memory, bars))
    said = f"{name} of one server: {sums}."
    return Figure(drawn, said, ("Bar", "Part", "Memory", "Note"), rows, memory_chart.colours(bars))


def gauge(models: Mapping[str, Gauge]) -> Figure:
    """Return one measure of quality, of one or more models."""
    rows = [
        (name, f"{found.value:.4f}", f"± {found.error:.4f}", found.bound, _verdict(found))
        for name, found in models.items()
    ]
    name = next(iter(models.values())).name
    said = "; ".join(f"{row[0]} {row[1]} {row[2]}, gate {row[3]}: {row[4]}" for row in rows)
    header = ("Model", name, "Standard error", "Gate", "Verdict")
    return Figure(
        small_picture(partial(quality_chart.gauge, models)), f"{name}. {said}.", header, rows
    )


def _verdict(found: Gauge) -> str:
    return "passes" if found.passes else "misses"


def histogram(layer: ExampleLayer) -> Figure | None:
    """Return the distribution of one layer's weights with the levels that they are put on."""
    if not layer.levels or len(layer.histogram.edges) < 2:  # noqa: PLR2004  edges of one bin
        return None
    rows = [
        (name, str(len(levels)), ", ".join(f"{level:.4g}" for level in levels))
        for name, levels in layer.levels.items()
    ]
    said = f"Distribution of the weights of {layer.name}, and the values each scheme can store."
    drawn = picture(partial(weights_chart.histogram, layer))
    return Figure(drawn, said, ("Scheme", "Values", "Which"), rows)


def layer_errors(details: Details) -> Figure | None:
    """Return the error that quantizing made in each layer."""
    found = points(details.layers)
    if not found:
        return None
    rows = [
        (layer.name, layer.type, f"{layer.bits:.3g}", f"{layer.relative_error:.2%}")
        for layer in details.layers
    ]
    worst = max(details.layers, key=lambda layer: layer.relative_error)
    said = (
        f"Relative error of {compared(details)} by layer; "
        f"largest {worst.relative_error:.2%} in {worst.name}."
    )
    drawn = picture(partial(weights_chart.layer_errors, found))
    header = ("Weight", "Type", "Bits", "Relative error")
    return Figure(drawn, said, header, rows, weights_chart.colours(found))


def compared(details: Details) -> str:
    """Return how many weights were compared, and of how many."""
    count = len(details.layers)
    are_all = count >= details.quantized_layers
    return f"{count:,} weights" if are_all else f"{count:,} of {details.quantized_layers:,} weights"


def trade(models: Sequence[QuantizedModel]) -> Figure | None:
    """Return what each model gave up for its size, where at least two can be compared."""
    found = [
        quality_chart.Trade(
            model.name, model.status.artifact.weight_bytes, gauge.value, gauge.interval
        )
        for model in models
        if model.status.artifact is not None
        for gauge in gauges(model)
        if gauge.name == DIVERGENCE
    ]
    if len(found) < 2:  # noqa: PLR2004  one point compares nothing
        return None
    rows = [(each.name, megabytes(each.bytes), f"{each.divergence:.4f}") for each in found]
    said = "Size against mean KL divergence: " + "; ".join(", ".join(row) for row in rows) + "."
    drawn = picture(partial(quality_chart.trade, found))
    return Figure(drawn, said, ("Model", "Weights", "Mean KL divergence"), rows)


def timing(spans: Sequence[Span], evaluating: Mapping[str, float]) -> Figure | None:
    """Return when each Job ran; the parts of evaluating, in seconds, stand in the table."""
    if not spans:
        return None
    rows = [
        (span.name, duration(span.start), duration(span.seconds), str(span.attempts))
        for span in spans
    ]
    rows += [(f"evaluating: {name}", "", duration(took), "") for name, took in evaluating.items()]
    said = "Time of each step: " + ", ".join(f"{span.name} {span.seconds:.0f} s" for span in spans)
    header = ("Work", "Began after", "Took", "Attempts")
    return Figure(picture(partial(timing_chart.timing, spans)), said + ".", header, rows)
