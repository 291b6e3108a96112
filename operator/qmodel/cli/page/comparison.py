"""Several models as one table, the best of each line marked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from qmodel.api.resource import QuantizedModel
from qmodel.cli.durations import duration
from qmodel.cli.page.facts import recipe, where
from qmodel.cli.page.memory import GPU, host_name
from qmodel.cli.page.quality import gauges
from qmodel.cli.page.timing import spans, total_seconds
from qmodel.cli.units import mebibytes, megabytes

_Value = Callable[[QuantizedModel], float | None]


@dataclass(frozen=True, slots=True)
class Cell:
    """What one model has."""

    text: str
    best: bool = False
    tone: str = ""
    """`bad` for what misses its gate."""


@dataclass(frozen=True, slots=True)
class Line:
    """What all models have of one thing."""

    name: str
    cells: tuple[Cell, ...]


def lines(models: Sequence[QuantizedModel]) -> list[Line]:
    """Return the table; lines that no model has a figure for are left out."""
    found = [
        _words("Source", [where(model.spec.source) for model in models]),
        _words("Recipe", [recipe(model.spec.quantization) for model in models]),
        _words("Engine", [model.status.engine or "" for model in models]),
        _figures("Weights", models, _weights, lambda count: megabytes(round(count))),
        *_quality(models),
        *_memory(models),
        _figures("Generation", models, _speed, lambda rate: f"{rate:,.0f} tokens/s", most=True),
        _figures("Prompt", models, _prompt_speed, lambda rate: f"{rate:,.0f} tokens/s", most=True),
        _figures("First token", models, _first_token, lambda seconds: f"{seconds:.2f} s"),
        _figures("All Jobs", models, _job_seconds, duration),
    ]
    return [line for line in found if any(cell.text for cell in line.cells)]


def _words(name: str, texts: Sequence[str]) -> Line:
    return Line(name, tuple(Cell(text) for text in texts))


def _figures(
    name: str,
    models: Sequence[QuantizedModel],
    value: _Value,
    text: Callable[[float], str],
    *,
    most: bool = False,
) -> Line:
    """Return figures, the smallest marked as the best, or the largest."""
    found = [value(model) for model in models]
    known = [each for each in found if each is not None]
    best = (max if most else min)(known) if len(set(known)) > 1 else None
    cells = [Cell("") if each is None else Cell(text(each), each == best) for each in found]
    return Line(name, tuple(cells))


def _memory(models: Sequence[QuantizedModel]) -> Iterator[Line]:
    """Yield the lines of the host, and of GPUs; what nobody has is left out later."""
    host = host_name(models)
    for name, value in (
        (f"{host}, measured", _peak),
        (f"{host}, requested", _limit),
        (f"{GPU}, measured", _gpu_peak),
        (f"{GPU}, predicted", _gpu_predicted),
    ):
        yield _figures(name, models, value, lambda count: mebibytes(round(count)))


def _quality(models: Sequence[QuantizedModel]) -> Iterator[Line]:
    """Yield a line a measure; what misses its gate is never the best."""
    found = [{gauge.name: gauge for gauge in gauges(model)} for model in models]
    for name in dict.fromkeys(name for each in found for name in each):
        measured = [each.get(name) for each in found]
        passing = [gauge for gauge in measured if gauge is not None and gauge.passes]
        best = min((abs(gauge.value - gauge.ideal) for gauge in passing), default=None)
        cells = [
            Cell("")
            if gauge is None
            else Cell(
                f"{gauge.value:.4f} ± {gauge.error:.4f}",
                gauge.passes and len(found) > 1 and abs(gauge.value - gauge.ideal) == best,
                "" if gauge.passes else "bad",
            )
            for gauge in measured
        ]
        yield Line(name, tuple(cells))


def _weights(model: QuantizedModel) -> float | None:
    return model.status.artifact.weight_bytes if model.status.artifact else None


def _peak(model: QuantizedModel) -> float | None:
    return model.status.footprint.peak_bytes if model.status.footprint else None


def _limit(model: QuantizedModel) -> float | None:
    return model.status.sizing.memory_bytes if model.status.sizing else None


def _gpu_peak(model: QuantizedModel) -> float | None:
    return (model.status.footprint.device_bytes or None) if model.status.footprint else None


def _gpu_predicted(model: QuantizedModel) -> float | None:
    return (model.status.sizing.device_bytes or None) if model.status.sizing else None


def _speed(model: QuantizedModel) -> float | None:
    return model.status.footprint.tokens_per_second if model.status.footprint else None


def _prompt_speed(model: QuantizedModel) -> float | None:
    return model.status.footprint.prompt_tokens_per_second if model.status.footprint else None


def _first_token(model: QuantizedModel) -> float | None:
    return model.status.footprint.first_token_seconds if model.status.footprint else None


def _job_seconds(model: QuantizedModel) -> float | None:
    return total_seconds(spans(model.status)) or None
