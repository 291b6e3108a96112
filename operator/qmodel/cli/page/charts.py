"""What is drawn, as Vega-Lite specifications: pure, from figures to a picture's description."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from qmodel.cli.durations import duration
from qmodel.cli.page.memory import Bar
from qmodel.cli.page.quality import Gauge
from qmodel.cli.page.theme import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    MUTED,
    PARTS,
    SERIES,
)
from qmodel.cli.page.timing import Span
from qmodel.cli.page.weights import Point
from qmodel.worker.details import ExampleLayer

Spec = dict[str, Any]

WIDE, NARROW, SMALL = 860, 330, 272
"""Widths of a drawing on a desk, on a phone, and where three stand side by side, in pixels."""
MEBIBYTE, GIBIBYTE = 2**20, 2**30
_ROW_HEIGHT = 40
_LABELLED_SHARE = {WIDE: 0.06, NARROW: 0.13}
"""Share of the longest bar from which a segment has room for its figure."""
_MOST_RULES = 32
"""Levels that can be told apart as lines through a histogram."""
_NO_AXIS = None
_MINUTES_FROM = 300
"""Seconds from which an axis counts minutes."""


def memory(bars: Sequence[Bar], width: int) -> Spec:
    """Return stacked bars, each with its sum at the end."""
    longest = max(bar.bytes for bar in bars)
    unit, size = ("GiB", GIBIBYTE) if longest >= 10 * GIBIBYTE else ("MiB", MEBIBYTE)
    digits = ".1f" if size == GIBIBYTE else ",.0f"
    rows = _segments(bars, size, longest * _LABELLED_SHARE[width], digits)
    sums = [
        {"bar": bar.label, "end": bar.bytes / size, "sum": f"{bar.bytes / size:{digits}} {unit}"}
        for bar in bars
    ]
    colours = parts(bars)
    y: Spec = {
        "field": "bar",
        "type": "nominal",
        "sort": [bar.label for bar in bars],
        "title": None,
    }
    y["axis"] = {"labelColor": INK, "grid": False}
    x: Spec = {"field": "start", "type": "quantitative", "title": unit}
    x["scale"] = {"domain": [0, longest / size * (1.12 if width == WIDE else 1.3)]}
    x["axis"] = {"tickCount": 5, "format": ",~f"}
    colour = {
        "field": "part",
        "type": "nominal",
        "scale": {"domain": list(colours), "range": list(colours.values())},
        "legend": None,
    }
    return {
        "width": width - 110,
        "height": {"step": _ROW_HEIGHT},
        "encoding": {"y": y},
        "layer": [
            {
                "data": {"values": rows},
                "mark": {"type": "bar", "height": 24, "stroke": "var(--surface)"},
                "encoding": {"x": x, "x2": {"field": "end"}, "color": colour},
            },
            {
                "data": {"values": [row for row in rows if row["figure"]]},
                "mark": {"type": "text", "color": "var(--on-bar)", "fontSize": 11},
                "encoding": {"x": {**x, "field": "middle"}, "text": {"field": "figure"}},
            },
            {
                "data": {"values": sums},
                "mark": {"type": "text", "align": "left", "dx": 6, "fontWeight": 600},
                "encoding": {"x": {**x, "field": "end"}, "text": {"field": "sum"}},
            },
        ],
    }


def _segments(bars: Sequence[Bar], size: int, labelled: float, digits: str) -> list[Spec]:
    """Return one row a segment, from where to where it goes."""
    rows = []
    for bar in bars:
        start = 0.0
        for segment in bar.segments:
            length = segment.bytes / size
            figure = f"{length:{digits}}" if segment.bytes >= labelled else ""
            rows.append(
                {
                    "bar": bar.label,
                    "part": segment.part,
                    "start": start,
                    "middle": start + length / 2,
                    "end": start + length,
                    "figure": figure,
                }
            )
            start += length
    return rows


def gauge(models: Mapping[str, Gauge], width: int) -> Spec:
    """Return one measure of one or more models: value, 95 % interval, and where the gate shuts."""
    low, high = _domain(list(models.values()))
    rows = [
        {
            "model": name,
            "value": found.value,
            "low": max(low, found.interval[0]),
            "high": min(high, found.interval[1]),
            "gate": found.gate,
            "shut": high if found.at_most else low,
            "verdict": GOOD if found.passes else BAD,
        }
        for name, found in models.items()
    ]
    several = len(models) > 1
    y: Spec = {"field": "model", "type": "nominal", "sort": list(models), "title": None}
    y["axis"] = {"labelColor": INK, "grid": False, "labelLimit": 110} if several else _NO_AXIS
    y["scale"] = {"padding": 0}
    x: Spec = {
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [low, high], "nice": False},
    }
    x["axis"] = {"tickCount": 4, "format": ".4~g"}
    colour = {"field": "verdict", "type": "nominal", "scale": None}
    return {
        "width": width - (120 if several else 0),
        "height": {"step": 30 if several else 46},
        "data": {"values": rows},
        "encoding": {"y": y},
        "layer": [
            {
                "mark": {"type": "rect", "color": BAD, "opacity": 0.1},
                "encoding": {"x": {**x, "field": "gate"}, "x2": {"field": "shut"}},
            },
            {
                "mark": {
                    "type": "tick",
                    "color": BAD,
                    "thickness": 2,
                    "size": 30 if several else 46,
                },
                "encoding": {"x": {**x, "field": "gate"}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 3, "strokeCap": "round"},
                "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
                "encoding": {"x": {**x, "field": "value"}, "color": colour},
            },
        ],
    }


def _domain(found: Sequence[Gauge]) -> tuple[float, float]:
    """Return an axis that shows values, intervals, gates and the ideal, and a little more."""
    marks = [mark for each in found for mark in (*each.interval, each.gate, each.ideal)]
    low, high = min(marks), max(marks)
    room = (high - low) * 0.06
    ideal = found[0].ideal
    return (low if low >= ideal else low - room, high if high <= ideal else high + room)


def histogram(layer: ExampleLayer, width: int) -> Spec:
    """Return the weights' distribution, the values they can take drawn into it and below it."""
    edges, counts = layer.histogram.edges, layer.histogram.counts
    most = max(counts, default=1) or 1
    bins = [
        {"from": low, "to": high, "share": count / most}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    inside = [
        {"scheme": _scheme(layer, name), "level": level}
        for name, levels in layer.levels.items()
        for level in levels
        if edges[0] <= level <= edges[-1]
    ]
    schemes = list(dict.fromkeys(row["scheme"] for row in inside))
    own = [row for row in inside if row["scheme"] == schemes[0]]
    x: Spec = {"type": "quantitative", "scale": {"domain": [edges[0], edges[-1]], "nice": False}}
    hidden = {**x, "title": None, "axis": {"labels": False, "tickCount": 5}}
    ticks = 5 if width == WIDE else 3
    shown = {**x, "title": "weight", "axis": {"tickCount": ticks, "format": ".2~g"}}
    share = {"field": "share", "type": "quantitative", "title": None, "axis": _NO_AXIS}
    drawing = width - 96
    return {
        "vconcat": [
            {
                "width": drawing,
                "height": 200,
                "layer": [
                    {
                        "data": {"values": bins},
                        "mark": {"type": "bar", "color": ACCENT, "opacity": 0.45},
                        "encoding": {
                            "x": {**hidden, "field": "from"},
                            "x2": {"field": "to"},
                            "y": share,
                            "y2": {"datum": 0},
                        },
                    },
                    {
                        "data": {"values": own if len(own) <= _MOST_RULES else []},
                        "mark": {"type": "rule", "color": SERIES[0], "strokeWidth": 1},
                        "encoding": {"x": {**hidden, "field": "level"}},
                    },
                ],
            },
            {
                "width": drawing,
                "height": {"step": 26},
                "data": {"values": inside},
                "mark": {"type": "tick", "thickness": 1.5, "size": 16, "opacity": 1},
                "encoding": {
                    "x": {**shown, "field": "level"},
                    "y": {
                        "field": "scheme",
                        "type": "nominal",
                        "sort": schemes,
                        "title": None,
                        "axis": {"labelColor": INK, "grid": False, "minExtent": 84},
                    },
                    "color": {
                        "field": "scheme",
                        "type": "nominal",
                        "scale": {"domain": schemes, "range": SERIES[: len(schemes)]},
                        "legend": None,
                    },
                },
            },
        ],
        "spacing": 6,
    }


def _scheme(layer: ExampleLayer, name: str) -> str:
    """Return a scheme as it is labelled; the artifact's own by its type."""
    return f"{layer.type} (used)" if name == "artifact" else name


def layer_errors(points: Sequence[Point], width: int) -> Spec:
    """Return the relative error over the depth of the model, a line for each kind of weight."""
    colours = kinds(points)
    rows = [{"kind": point.kind, "layer": point.depth, "error": point.error} for point in points]
    return {
        "width": width - 60,
        "height": 260,
        "data": {"values": rows},
        "mark": {"type": "line", "point": {"size": 22, "filled": True}, "strokeWidth": 1.5},
        "encoding": {
            "x": {
                "field": "layer",
                "type": "quantitative",
                "title": "layer",
                "scale": {"nice": False},
                "axis": {"grid": False, "tickMinStep": 1, "format": "d"},
            },
            "y": {
                "field": "error",
                "type": "quantitative",
                "title": None,
                "axis": {"format": ".2~%", "tickCount": 5},
                "scale": {"zero": True},
            },
            "color": {
                "field": "kind",
                "type": "nominal",
                "scale": {"domain": list(colours), "range": list(colours.values())},
                "legend": None,
            },
        },
    }


def kinds(points: Sequence[Point]) -> dict[str, str]:
    """Return the colour of each kind of weight."""
    return _coloured(sorted({point.kind for point in points}))


def parts(bars: Sequence[Bar]) -> dict[str, str]:
    """Return the colour of each part of memory that some bar has."""
    used = {segment.part for bar in bars for segment in bar.segments}
    return {part.value: colour for part, colour in PARTS.items() if part in used}


def _coloured(names: Iterable[str]) -> dict[str, str]:
    return dict(zip(names, cycle(SERIES), strict=False))


@dataclass(frozen=True, slots=True)
class Trade:
    """Size and loss of one model."""

    name: str
    bytes: int
    divergence: float
    interval: tuple[float, float]
    """95 % of the divergence."""


def trade(models: Sequence[Trade], width: int) -> Spec:
    """Return divergence over size: low and to the left is good."""
    rows = [
        {
            "model": each.name,
            "size": each.bytes / 1e6,
            "divergence": each.divergence,
            "low": max(0.0, each.interval[0]),
            "high": each.interval[1],
        }
        for each in models
    ]
    x: Spec = {"field": "size", "type": "quantitative", "title": "weights, MB"}
    x["scale"] = {"zero": False, "padding": 60}
    x["axis"] = {"tickCount": 5}
    y: Spec = {
        "type": "quantitative",
        "title": "mean KL divergence, nats",
        "axis": {"tickCount": 5},
    }
    colours = _coloured(each.name for each in models)
    colour = {
        "field": "model",
        "type": "nominal",
        "scale": {"domain": list(colours), "range": list(colours.values())},
        "legend": None,
    }
    return {
        "width": width - 70,
        "height": 260,
        "data": {"values": rows},
        "encoding": {"x": x, "color": colour},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 120, "opacity": 1},
                "encoding": {"y": {**y, "field": "divergence"}},
            },
            {
                "mark": {"type": "text", "dy": -10, "fontWeight": 600},
                "encoding": {"y": {**y, "field": "high"}, "text": {"field": "model"}},
            },
        ],
    }


def timing(spans: Sequence[Span], width: int) -> Spec:
    """Return when each Job ran, with the work inside it below it."""
    last = max(span.start + span.seconds for span in spans)
    size, unit = (60, "minutes") if last >= _MINUTES_FROM else (1, "seconds")
    rows = [
        {
            "work": span.name,
            "start": span.start / size,
            "end": (span.start + span.seconds) / size,
            "colour": ACCENT if span.is_job else "var(--margin)",
            "took": duration(span.seconds),
        }
        for span in spans
    ]
    x: Spec = {"type": "quantitative", "title": unit}
    x["scale"] = {"domain": [0, last / size * (1.08 if width == WIDE else 1.22)]}
    x["axis"] = {"tickCount": 6}
    return {
        "width": width - 110,
        "height": {"step": 30},
        "data": {"values": rows},
        "encoding": {
            "y": {
                "field": "work",
                "type": "nominal",
                "sort": [span.name for span in spans],
                "title": None,
                "axis": {"labelColor": INK, "grid": False},
            }
        },
        "layer": [
            {
                "mark": {"type": "bar", "height": 16, "cornerRadius": 3},
                "encoding": {
                    "x": {**x, "field": "start"},
                    "x2": {"field": "end"},
                    "color": {"field": "colour", "type": "nominal", "scale": None},
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 6, "color": MUTED},
                "encoding": {"x": {**x, "field": "end"}, "text": {"field": "took"}},
            },
        ],
    }
