"""The page: one HTML file that needs nothing else, drawn from status and volume.

It has no script, and a policy that lets none run: what models say is shown, never executed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from qmodel.api.resource import QuantizedModel
from qmodel.cli.page import facts, figures, parameters, recipe
from qmodel.cli.page.answers import Exchange, exchanges
from qmodel.cli.page.comparison import Line, lines
from qmodel.cli.page.figures import Figure
from qmodel.cli.page.memory import GPU, Bar, bars, gpu_bars, host_name, measured, measured_on_gpus
from qmodel.cli.page.quality import Gauge, gauges
from qmodel.cli.page.subject import Subject
from qmodel.cli.page.timing import spans
from qmodel.worker.details import Details, ExampleLayer


@dataclass(frozen=True, slots=True)
class Quality:
    """One measure with its chart."""

    meaning: str
    gauges: dict[str, Gauge]
    figure: Figure


@dataclass(frozen=True, slots=True)
class Layer:
    """The layer that serves as an example."""

    example: ExampleLayer
    figure: Figure


@dataclass(frozen=True, slots=True)
class ReportPage:
    """Everything that the page of one model shows."""

    subject: Subject
    state: facts.Tile
    tiles: list[facts.Tile]
    asked: list[facts.Fact]
    done: list[facts.Fact]
    memory: dict[str, Figure]
    quality: list[Quality]
    layer: Layer | None
    errors: Figure | None
    sample: str
    """Of which weights errors are known; empty where it is all of them."""
    exchanges: list[Exchange]
    timing: Figure | None
    groups: list[parameters.Group]
    parameters: list[parameters.Group]
    recipe: str


@dataclass(frozen=True, slots=True)
class ComparePage:
    """Everything that the page of several models shows."""

    subjects: list[Subject]
    lines: list[Line]
    memory: dict[str, Figure]
    quality: list[Quality]
    trade: Figure | None
    exchanges: list[Exchange]
    recipes: dict[str, str]


def report(subject: Subject, now: datetime) -> str:
    """Return the page of one model."""
    return _rendered("report.html.j2", _report(subject), now)


def compare(subjects: Sequence[Subject], now: datetime) -> str:
    """Return the page of several models."""
    return _rendered("compare.html.j2", _compare(list(subjects)), now)


def _rendered(template: str, page: ReportPage | ComparePage, now: datetime) -> str:
    environment = Environment(
        loader=PackageLoader("qmodel.cli.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made = now.isoformat(sep=" ", timespec="minutes")
    return environment.get_template(template).render(page=page, made=made)


def _report(subject: Subject) -> ReportPage:
    model, details = subject.model, subject.files.details
    return ReportPage(
        subject=subject,
        state=facts.state(model),
        tiles=facts.tiles(model),
        asked=facts.asked(model),
        done=facts.done(subject),
        memory=_memory([model], bars(model.status), gpu_bars(model.status)),
        quality=_quality([subject]),
        layer=_layer(details.example_layer if details else None),
        errors=figures.layer_errors(details) if details else None,
        sample=_sample(details) if details else "",
        exchanges=exchanges([subject]),
        timing=figures.timing(spans(model.status), details.timings if details else {}),
        groups=parameters.groups(subject.files.parameters),
        parameters=parameters.listed(subject.files.parameters),
        recipe=recipe.manifest(model),
    )


def _compare(subjects: list[Subject]) -> ComparePage:
    models = [subject.model for subject in subjects]
    found = {each.name: each.status.footprint for each in models if each.status.footprint}
    on_hosts = [measured(each, name) for name, each in found.items()]
    on_gpus = [measured_on_gpus(each, name) for name, each in found.items() if each.device_bytes]
    return ComparePage(
        subjects=subjects,
        lines=lines(models),
        memory=_memory(models, on_hosts, on_gpus),
        quality=_quality(subjects),
        trade=figures.trade(models),
        exchanges=exchanges(subjects),
        recipes={model.name: recipe.manifest(model) for model in models},
    )


def _memory(
    models: Sequence[QuantizedModel], on_hosts: Sequence[Bar], on_gpus: Sequence[Bar]
) -> dict[str, Figure]:
    """Return the figures by name, as far as there is something to draw; GPUs hold the model."""
    found = {GPU: on_gpus, host_name(models): on_hosts}
    return {name: figures.memory(drawn, name) for name, drawn in found.items() if drawn}


def _quality(subjects: Sequence[Subject]) -> list[Quality]:
    """Return each measure with all models that have it."""
    found: dict[str, dict[str, Gauge]] = {}
    for subject in subjects:
        for gauge in gauges(subject.model):
            found.setdefault(gauge.name, {})[subject.model.name] = gauge
    return [
        Quality(next(iter(models.values())).meaning, models, figures.gauge(models))
        for models in found.values()
    ]


def _sample(details: Details) -> str:
    is_sample = len(details.layers) < details.quantized_layers
    return figures.compared(details) if is_sample else ""


def _layer(example: ExampleLayer | None) -> Layer | None:
    figure = figures.histogram(example) if example is not None else None
    return None if example is None or figure is None else Layer(example, figure)
