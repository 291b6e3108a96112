"""Colours and type of the charts, as the page's style sheet has them.

Every colour is a CSS variable that the page sets for light and for dark, so that one drawing
serves both.
"""

from typing import Any

from qmodel.cli.page.memory import Part

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
INK, MUTED, GRID = "var(--ink)", "var(--muted)", "var(--grid)"
GOOD, BAD, ACCENT = "var(--good)", "var(--bad)", "var(--accent)"
SERIES = [f"var(--s{number})" for number in range(1, 9)]

PARTS = {
    Part.WEIGHTS: "var(--weights)",
    Part.KV: "var(--kv)",
    Part.COMPUTE: "var(--compute)",
    Part.OTHER: "var(--other)",
    Part.UNSPLIT: "var(--unsplit)",
    Part.HOST: "var(--host)",
    Part.MARGIN: "var(--margin)",
}

CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": None,
    "padding": {"left": 12, "right": 2, "top": 4, "bottom": 2},
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "ticks": False,
        "gridColor": GRID,
        "labelColor": MUTED,
        "labelFontSize": 12,
        "labelPadding": 6,
        "titleColor": MUTED,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 10,
    },
    "axisY": {"labelLimit": 150},
    "text": {"color": INK, "fontSize": 12},
}
