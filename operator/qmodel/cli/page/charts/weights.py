"""Where quantizing puts the weights of a layer, and the error that it makes in each."""

from collections.abc import Sequence

from qmodel.cli.page.charts.base import (
    WIDE,
    Spec,
    by_name,
    coloured,
    layer,
    number,
    rows_of,
)
from qmodel.cli.page.theme import ACCENT, SERIES
from qmodel.cli.page.weights import Point
from qmodel.worker.details import ExampleLayer

_NAMES_WIDTH = 96
_MOST_RULES = 32
"""Levels that can be told apart as lines through a histogram."""


def histogram(example: ExampleLayer, width: int) -> Spec:
    """Return the weights' distribution, the values they can take drawn into it and below it."""
    levels = _levels(example)
    edges = example.histogram.edges
    x = {"scale": {"domain": [edges[0], edges[-1]], "nice": False}}
    drawing = {"width": width - _NAMES_WIDTH}
    upper = {**drawing, "height": 200, "layer": _distribution(example, levels, x)}
    lower = {**drawing, "height": {"step": 26}, **_strips(levels, x, 5 if width == WIDE else 3)}
    return {"vconcat": [upper, lower], "spacing": 6}


def _levels(example: ExampleLayer) -> list[Spec]:
    """Return every value that can be stored, as far as it lies in the histogram."""
    low, high = example.histogram.edges[0], example.histogram.edges[-1]
    return [
        {"scheme": f"{example.type} (used)" if name == "artifact" else name, "level": level}
        for name, levels in example.levels.items()
        for level in levels
        if low <= level <= high
    ]


def _distribution(example: ExampleLayer, levels: Sequence[Spec], x: Spec) -> list[Spec]:
    """Return the histogram with the first scheme's values as lines through it."""
    edges, counts = example.histogram.edges, example.histogram.counts
    most = max(counts, default=0) or 1
    bins = [
        {"from": low, "to": high, "share": count / most}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    own = [row for row in levels if row["scheme"] == levels[0]["scheme"]]
    axis = {"labels": False, "tickCount": 5}
    bars = {
        "x": number("from", axis=axis, **x),
        "x2": {"field": "to"},
        "y": number("share", axis=None),
        "y2": {"datum": 0},
    }
    lines = {"x": number("level", axis=axis, **x)}
    return [
        layer("bar", bars, bins, color=ACCENT, opacity=0.45),
        layer("rule", lines, own if len(own) <= _MOST_RULES else [], color=SERIES[0]),
    ]


def _strips(levels: Sequence[Spec], x: Spec, ticks: int) -> Spec:
    """Return a line for each scheme, with a tick at each value."""
    schemes = list(dict.fromkeys(row["scheme"] for row in levels))
    axis = {"tickCount": ticks, "format": ".2~g"}
    encoding = {
        "x": number("level", "weight", axis=axis, **x),
        "y": rows_of("scheme", schemes, minExtent=84),
        "color": by_name("scheme", coloured(schemes)),
    }
    return layer("tick", encoding, levels, thickness=1.5, size=16, opacity=1)


def layer_errors(points: Sequence[Point], width: int) -> Spec:
    """Return the relative error over the depth of the model, a line for each kind of weight."""
    rows = [{"kind": point.kind, "layer": point.depth, "error": point.error} for point in points]
    most = max(point.depth for point in points)
    step = -(-(most + 1) // (16 if width == WIDE else 8))
    depth = {"grid": False, "values": list(range(0, most + 1, step)), "format": "d"}
    encoding = {
        "x": number("layer", "layer", scale={"nice": False}, axis=depth),
        "y": number("error", axis={"format": ".2~%", "tickCount": 5}, scale={"zero": True}),
        "color": by_name("kind", colours(points)),
    }
    lines = layer("line", encoding, rows, point={"size": 22, "filled": True}, strokeWidth=1.5)
    return {"width": width - 60, "height": 260, **lines}


def colours(points: Sequence[Point]) -> dict[str, str]:
    """Return the colour of each kind of weight."""
    return coloured(sorted({point.kind for point in points}))
