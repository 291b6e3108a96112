"""From a specification to a picture: Vega-Lite's own compiler, run without a browser.

The pictures are SVG without script. What fills the page is drawn twice, for a desk and for
a phone, since type that is scaled down with a drawing cannot be read.
"""

from collections.abc import Callable
from dataclasses import dataclass

import vl_convert
from markupsafe import Markup

from qmodel.cli.page.charts.base import NARROW, SMALL, WIDE, Spec
from qmodel.cli.page.theme import CONFIG

VEGA_LITE = "6.4"


@dataclass(frozen=True, slots=True)
class Picture:
    """One chart at both widths; `narrow` is None where one fits both."""

    wide: Markup
    narrow: Markup | None = None


def picture(chart: Callable[[int], Spec]) -> Picture:
    """Draw a chart for a desk and for a phone."""
    return Picture(svg(chart(WIDE)), svg(chart(NARROW)))


def small_picture(chart: Callable[[int], Spec]) -> Picture:
    """Draw a chart that has the same width on both."""
    return Picture(svg(chart(SMALL)))


def svg(spec: Spec) -> Markup:
    """Return the drawing; its compiler escaped the text in it, and fetched nothing."""
    drawn = vl_convert.vegalite_to_svg(
        spec, vl_version=VEGA_LITE, config=CONFIG, allowed_base_urls=[]
    )
    return Markup(drawn)  # noqa: S704
