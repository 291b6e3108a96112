"""A measure of quality and its gate; and what a model gives up for its size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qmodel.cli.page.charts.base import (
    Spec,
    as_given,
    by_name,
    coloured,
    layer,
    number,
    rows_of,
)
from qmodel.cli.page.quality import Gauge
from qmodel.cli.page.theme import BAD, GOOD

_ROW, _ONLY_ROW = 30, 46
_NAMES_WIDTH = 120


def gauge(models: Mapping[str, Gauge], width: int) -> Spec:
    """Return one measure of one or more models: value, 95 % interval, and where the gate shuts."""
    low, high = _domain(list(models.values()))
    several = len(models) > 1
    row = _ROW if several else _ONLY_ROW
    y = rows_of("model", list(models), labelLimit=110)
    y = {**y, "scale": {"padding": 0}, **({} if several else {"axis": None})}
    scale, axis = {"domain": [low, high], "nice": False}, {"tickCount": 4, "format": ".4~g"}

    def at(field: str) -> Spec:
        return number(field, scale=scale, axis=axis)

    verdict = {"color": as_given("verdict")}
    return {
        "width": width - (_NAMES_WIDTH if several else 0),
        "height": {"step": row},
        "data": {"values": [_row(name, each, low, high) for name, each in models.items()]},
        "encoding": {"y": y},
        "layer": [
            layer("rect", {"x": at("gate"), "x2": {"field": "shut"}}, color=BAD, opacity=0.1),
            layer("tick", {"x": at("gate")}, color=BAD, thickness=2, size=row),
            layer(
                "rule",
                {"x": at("low"), "x2": {"field": "high"}, **verdict},
                strokeWidth=3,
                strokeCap="round",
            ),
            layer("point", {"x": at("value"), **verdict}, filled=True, size=110, opacity=1),
        ],
    }


def _row(name: str, found: Gauge, low: float, high: float) -> Spec:
    return {
        "model": name,
        "value": found.value,
        "low": max(low, found.interval[0]),
        "high": min(high, found.interval[1]),
        "gate": found.gate,
        "shut": high if found.at_most else low,
        "verdict": GOOD if found.passes else BAD,
    }


def _domain(found: Sequence[Gauge]) -> tuple[float, float]:
    """Return an axis that shows values, intervals, gates and the ideal, and a little more."""
    marks = [mark for each in found for mark in (*each.interval, each.gate, each.ideal)]
    low, high = min(marks), max(marks)
    room = (high - low) * 0.06
    ideal = found[0].ideal
    return (low if low >= ideal else low - room, high if high <= ideal else high + room)


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
    axis = {"tickCount": 5}

    def at(field: str) -> Spec:
        return number(field, "mean KL divergence, nats", axis=axis)

    x = number("size", "weights, MB", scale={"zero": False, "padding": 60}, axis=axis)
    colours = by_name("model", coloured(each.name for each in models))
    return {
        "width": width - 70,
        "height": 260,
        "data": {"values": rows},
        "encoding": {"x": x, "color": colours},
        "layer": [
            layer("rule", {"y": at("low"), "y2": {"field": "high"}}, strokeWidth=2),
            layer("point", {"y": at("divergence")}, filled=True, size=120, opacity=1),
            layer("text", {"y": at("high"), "text": {"field": "model"}}, dy=-10, fontWeight=600),
        ],
    }
