"""Memory of servers as stacked bars."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qmodel.cli.page.charts.base import NARROW, WIDE, Spec, by_name, layer, number, rows_of
from qmodel.cli.page.memory import Bar
from qmodel.cli.page.theme import PARTS

MEBIBYTE, GIBIBYTE = 2**20, 2**30
_ROW_HEIGHT = 40
_BAR_HEIGHT = 24
_LABELLED_SHARE = {WIDE: 0.06, NARROW: 0.13}
"""Share of the longest bar from which a segment has room for its figure."""
_ROOM_FOR_SUMS = {WIDE: 1.12, NARROW: 1.3}


@dataclass(frozen=True, slots=True)
class _Unit:
    """What lengths are counted in."""

    name: str
    bytes: int
    format: str

    def text(self, count: int) -> str:
        return f"{count / self.bytes:{self.format}}"


def memory(bars: Sequence[Bar], width: int) -> Spec:
    """Return stacked bars, each with its sum at the end."""
    longest = max(bar.bytes for bar in bars)
    large = longest >= 10 * GIBIBYTE
    unit = _Unit("GiB", GIBIBYTE, ".1f") if large else _Unit("MiB", MEBIBYTE, ",.0f")
    segments = [row for bar in bars for row in _segments(bar, unit, longest, width)]
    sums = [
        {
            "bar": bar.label,
            "end": bar.bytes / unit.bytes,
            "sum": f"{unit.text(bar.bytes)} {unit.name}",
        }
        for bar in bars
    ]
    scale = {"domain": [0, longest / unit.bytes * _ROOM_FOR_SUMS[width]]}
    axis = {"tickCount": 5, "format": ",~f"}

    def at(field: str) -> Spec:
        return number(field, unit.name, scale=scale, axis=axis)

    figures = [row for row in segments if row["figure"]]
    parts = {"x": at("start"), "x2": {"field": "end"}, "color": by_name("part", colours(bars))}
    return {
        "width": width - 110,
        "height": {"step": _ROW_HEIGHT},
        "encoding": {"y": rows_of("bar", [bar.label for bar in bars])},
        "layer": [
            layer("bar", parts, segments, height=_BAR_HEIGHT, stroke="var(--surface)"),
            layer(
                "text",
                {"x": at("middle"), "text": {"field": "figure"}},
                figures,
                color="var(--on-bar)",
                fontSize=11,
            ),
            layer(
                "text",
                {"x": at("end"), "text": {"field": "sum"}},
                sums,
                align="left",
                dx=6,
                fontWeight=600,
            ),
        ],
    }


def colours(bars: Sequence[Bar]) -> dict[str, str]:
    """Return the colour of each part of memory that some bar has."""
    used = {segment.part for bar in bars for segment in bar.segments}
    return {part.value: colour for part, colour in PARTS.items() if part in used}


def _segments(bar: Bar, unit: _Unit, longest: int, width: int) -> Iterator[Spec]:
    """Yield from where to where each segment goes."""
    start = 0.0
    for segment in bar.segments:
        length = segment.bytes / unit.bytes
        has_room = segment.bytes >= longest * _LABELLED_SHARE[width]
        yield {
            "bar": bar.label,
            "part": segment.part.value,
            "start": start,
            "middle": start + length / 2,
            "end": start + length,
            "figure": unit.text(segment.bytes) if has_room else "",
        }
        start += length
