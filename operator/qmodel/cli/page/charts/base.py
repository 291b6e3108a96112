"""What all charts share: widths, and the parts of a Vega-Lite specification."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

from qmodel.cli.page.theme import INK, SERIES

Spec = dict[str, Any]

WIDE, NARROW, SMALL = 860, 330, 272
"""Widths of a drawing on a desk, on a phone, and where three stand side by side, in pixels."""

Colours = Mapping[str, str]
"""What each colour stands for, in the order of a legend."""


def coloured(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each name; they come round again where there are many."""
    return dict(zip(names, cycle(SERIES), strict=False))


def by_name(field: str, colours: Colours) -> Spec:
    """Return a colour channel whose legend the page draws itself, in its own type."""
    scale = {"domain": list(colours), "range": list(colours.values())}
    return {"field": field, "type": "nominal", "scale": scale, "legend": None}


def as_given(field: str) -> Spec:
    """Return a colour channel whose field holds the colour."""
    return {"field": field, "type": "nominal", "scale": None}


def rows_of(field: str, names: Sequence[str], **axis: Any) -> Spec:
    """Return a channel that puts each name on a line of its own, from the top."""
    shown = {"labelColor": INK, "grid": False, **axis}
    return {"field": field, "type": "nominal", "sort": list(names), "title": None, "axis": shown}


def number(field: str, title: str | None = None, **more: Any) -> Spec:
    """Return a channel of figures."""
    return {"field": field, "type": "quantitative", "title": title, **more}


def layer(mark: str, encoding: Spec, values: Sequence[Spec] | None = None, **style: Any) -> Spec:
    """Return marks of one sort, on figures of their own or on those of the whole chart."""
    made: Spec = {"mark": {"type": mark, **style}, "encoding": encoding}
    return made if values is None else {**made, "data": {"values": list(values)}}
