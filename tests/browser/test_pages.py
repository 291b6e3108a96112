"""What a person sees of a page, on a desk and on a phone, by day and by night."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Request

DESK, PHONE = 1280, 390
Scheme = Literal["light", "dark"]
NAMES = ("gguf", "awq", "nf4", "fp8", "compare", "compare-gpu", "evil", "evil-compare")
TYPE_PIXELS = 10
"""Smallest type that can be read."""
CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, for type of normal size."""

Opener = Callable[..., Page]


@pytest.fixture
def open_page(chromium: Browser, pages: dict[str, Path]) -> Iterator[Opener]:
    """Open a page; whatever it asks for or complains about fails the test."""
    trouble: list[str] = []
    contexts = []

    def asked(request: Request) -> None:
        if not request.is_navigation_request():
            trouble.append(f"asked for {request.url}")

    def opened(name: str, width: int = DESK, scheme: Scheme = "light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))
        page.on("request", asked)
        page.goto(pages[name].as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def keep(page: Page, name: str) -> bytes:
    """Take a picture, and keep it where somebody wants to look at it."""
    folder = os.environ.get("QMODEL_PICTURES")
    path = Path(folder) / f"{name}.png" if folder else None
    return page.screenshot(full_page=True, path=path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("width", "scheme"), [(DESK, "light"), (PHONE, "dark")])
def test_a_page_fits_its_window(open_page: Opener, name: str, width: int, scheme: Scheme) -> None:
    page = open_page(name, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter(e => !e.closest(".scroll, pre, svg"))
            .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1)
            .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert wide == []
    assert len(keep(page, f"{name}-{width}-{scheme}")) > 20_000


@pytest.mark.parametrize("name", ["gguf", "compare"])
def test_day_and_night_differ(open_page: Opener, name: str) -> None:
    day, night = open_page(name), open_page(name, scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert sum(rgb(day.evaluate(colour))) > 600
    assert sum(rgb(night.evaluate(colour))) < 150


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["awq", "compare"])
def test_type_stands_out_from_its_ground(open_page: Opener, name: str, scheme: Scheme) -> None:
    page = open_page(name, scheme=scheme)
    found = page.evaluate(
        """() => [...document.querySelectorAll("h1, h2, p, dt, dd, td, th, summary, .value, .note,"
            + ".pill, .reply div, mark, figure text")]
            .filter(e => e.checkVisibility() && !e.closest(".mark-text"))
            .map(e => {
                const style = getComputedStyle(e);
                let ground = e;
                while (ground && getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)")
                    ground = ground.parentElement;
                return [e.textContent.slice(0, 40),
                    e instanceof SVGElement ? style.fill : style.color,
                    getComputedStyle(ground).backgroundColor];
            })"""
    )
    weak = [
        (text, ink, ground)
        for text, ink, ground in found
        if contrast(rgb(ink), rgb(ground)) < CONTRAST
    ]
    assert len(found) > 40
    assert weak == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "bars"), [("awq", 6), ("fp8", 7)])
def test_figures_stand_out_from_their_bars(
    open_page: Opener, name: str, bars: int, scheme: Scheme
) -> None:
    page = open_page(name, scheme=scheme)
    found = page.evaluate(
        """() => [...document.querySelectorAll(".legend i")].filter(e => e.closest("#memory"))
            .map(e => getComputedStyle(e).backgroundColor)"""
    )
    ink = page.evaluate(
        "getComputedStyle(document.querySelector('#memory [fill=\"var(--on-bar)\"]')).fill"
    )
    assert len(found) == bars
    assert min(contrast(rgb(ink), rgb(bar)) for bar in found) >= CONTRAST


@pytest.mark.parametrize("name", ["gguf", "awq", "compare"])
@pytest.mark.parametrize("width", [DESK, PHONE])
def test_type_in_a_chart_can_be_read(open_page: Opener, name: str, width: int) -> None:
    page = open_page(name, width)
    sizes = page.evaluate(
        """() => [...document.querySelectorAll("figure svg text")]
            .filter(e => e.checkVisibility() && e.textContent)
            .map(e => parseFloat(getComputedStyle(e).fontSize)
                * Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b))"""
    )
    assert len(sizes) > 20
    assert min(sizes) >= TYPE_PIXELS


def test_one_drawing_of_each_chart_is_seen(open_page: Opener) -> None:
    shown = "[...document.querySelectorAll('.has-narrow')].map(e => [...e.children].map(c => "
    shown += "c.checkVisibility()))"
    assert {tuple(each) for each in open_page("gguf").evaluate(shown)} == {(True, False)}
    assert {tuple(each) for each in open_page("gguf", PHONE).evaluate(shown)} == {(False, True)}


def test_bars_are_as_long_as_their_figures(open_page: Opener) -> None:
    page = open_page("gguf")
    lengths = page.evaluate(
        """() => [...document.querySelectorAll("#memory .wide [aria-label*='part:']")].map(
            e => [e.getAttribute("aria-label"), e.getBoundingClientRect().width])"""
    )
    by_bar: dict[str, float] = {}
    for label, pixels in lengths:
        bar = next(part for part in label.split("; ") if part.startswith("bar: "))
        by_bar[bar.removeprefix("bar: ")] = by_bar.get(bar.removeprefix("bar: "), 0) + pixels
    assert by_bar["Estimated"] / by_bar["Measured"] == pytest.approx(315 / 270, rel=0.02)
    assert by_bar["Requested"] / by_bar["Measured"] == pytest.approx(310 / 270, rel=0.02)


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_host_and_gpu_memory_have_a_chart_each(open_page: Opener, width: int) -> None:
    memory = open_page("fp8", width).locator("#memory")
    assert memory.locator("h3").all_inner_texts() == ["GPU memory", "Host memory"]
    said = [chart.get_attribute("aria-label") for chart in memory.get_by_role("img").all()]
    assert said == [
        (
            "GPU memory of one server: Unquantized 1,299 MiB, Estimated 1,263 MiB, "
            "Measured 1,181 MiB, Predicted 1,271 MiB."
        ),
        "Host memory of one server: Estimated 2,138 MiB, Measured 2,054 MiB, Requested 2,148 MiB.",
    ]


def test_a_chart_can_be_read_as_a_table(open_page: Opener) -> None:
    page = open_page("gguf", PHONE)
    memory = page.locator("#memory")
    memory.get_by_text("Figures as a table").click()
    assert memory.get_by_role("cell", name="136 MiB").first.is_visible()
    chart = memory.get_by_role("img")
    assert "Measured 270 MiB" in (chart.get_attribute("aria-label") or "")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE


def test_the_report_says_everything(open_page: Opener) -> None:
    page = open_page("awq")
    headings = page.locator("h2").all_inner_texts()
    assert headings == [
        "What was asked",
        "What was done",
        "Memory of one server",
        "Quality",
        "Where the weights go",
        "Error of each layer",
        "Answers side by side",
        "Time of every step",
        "Every parameter",
        "Make it again",
    ]
    text = page.locator("body").inner_text()
    for words in (
        "BelowGate",
        "1.0612",
        "at most 1.05",
        "AWQ, 4 bits, groups of 64",
        "128 samples that the unquantized model drew itself",
        "llmcompressor 0.14.0.1",
        "ef785d84079a5a321fb2676c31a1f490af0559c2",
        "groupSize: 64",
    ):
        assert words in text


def test_the_comparison_has_all_models_in_one_table(open_page: Opener) -> None:
    page = open_page("compare")
    table = page.locator("#table table")
    heads = table.locator("thead th").all_inner_texts()
    assert heads[1:] == ["smollm2-q8", "smollm2-awq", "smollm2-nf4"]
    row = table.get_by_role("row", name="Perplexity ratio")
    missed = row.locator("td").nth(1)
    assert missed.get_attribute("class") == "bad"
    assert missed.inner_text().startswith("1.0612 ± 0.0071 ✗")
    unseen = missed.get_by_text("misses the gate").bounding_box()
    assert unseen is not None
    assert unseen["width"] == 1
    assert row.locator(".best").inner_text() == "1.0027 ± 0.0020"


@pytest.mark.parametrize("name", ["evil", "evil-compare"])
def test_what_models_say_is_shown_and_never_run(open_page: Opener, name: str) -> None:
    page = open_page(name)
    assert page.locator("script, img").count() == 0
    assert "<script>alert(1)</script>" in page.locator("#answers").inner_text()
    assert page.evaluate("document.title").startswith("<script>")


def rgb(text: str) -> tuple[float, float, float]:
    """Return what `rgb(1, 2, 3)` stands for."""
    red, green, blue = text[text.index("(") + 1 : text.index(")")].split(",")[:3]
    return float(red), float(green), float(blue)


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: tuple[float, float, float]) -> float:
    """Return the relative luminance of WCAG 2.2."""
    linear = [
        each / 255 / 12.92 if each / 255 <= 0.04045 else ((each / 255 + 0.055) / 1.055) ** 2.4
        for each in colour
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
