"""When each Job ran."""

from collections.abc import Sequence

from qmodel.cli.durations import duration
from qmodel.cli.page.charts.base import WIDE, Spec, as_given, layer, number, rows_of
from qmodel.cli.page.theme import ACCENT, MUTED
from qmodel.cli.page.timing import Span

_MINUTES_FROM = 300
"""Seconds from which an axis counts minutes."""


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
    room = 1.08 if width == WIDE else 1.22
    scale, axis = {"domain": [0, last / size * room]}, {"tickCount": 6}

    def at(field: str) -> Spec:
        return number(field, unit, scale=scale, axis=axis)

    bars = {"x": at("start"), "x2": {"field": "end"}, "color": as_given("colour")}
    took = {"x": at("end"), "text": {"field": "took"}}
    return {
        "width": width - 110,
        "height": {"step": 30},
        "data": {"values": rows},
        "encoding": {"y": rows_of("work", [span.name for span in spans])},
        "layer": [
            layer("bar", bars, height=16, cornerRadius=3),
            layer("text", took, align="left", dx=6, color=MUTED),
        ],
    }
