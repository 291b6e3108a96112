"""`report`: what became of a model, in one table."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from qmodel.api.conditions import ConditionType
from qmodel.api.quality import QualityBounds
from qmodel.api.quantities import quantity_mib
from qmodel.api.resource import QuantizedModel
from qmodel.api.status import EvaluationStatus, FootprintStatus, QuantizedModelStatus, Sizing
from qmodel.cli.durations import duration
from qmodel.cli.page.comparison import Cell
from qmodel.cli.page.comparison import Line as Compared
from qmodel.cli.page.comparison import lines as compared
from qmodel.cli.page.facts import state
from qmodel.cli.page.memory import GPU, Split, host_name, on_gpus, on_host
from qmodel.cli.units import mebibytes, megabytes

Line = tuple[str, str, str]
"""What, how much, and what to compare it with."""

_BEFORE = "before it was measured"
_BEST, _MISSES = "✓", "✗"
"""Beside the colour, which not every terminal has and not everybody sees."""


def table(model: QuantizedModel) -> Table:
    """Return the table; what is not known yet is left out."""
    title = Text(f"{model.namespace}/{model.name}")
    made = Table(title=title, title_justify="left", box=None, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(justify="right", no_wrap=True)
    made.add_column(style="dim", overflow="fold")
    for line in lines(model):
        made.add_row(*map(Text, line))  # rich would take brackets in a string for markup
    return made


def comparison(models: Sequence[QuantizedModel]) -> Table:
    """Return several models as one table, the best of each line marked, and what misses a gate."""
    found = compared(models)
    made = Table(box=None, header_style="bold", caption=_marks(found), caption_justify="left")
    made.add_column("")
    for model in models:
        made.add_column(Text(model.name), justify="right", overflow="fold")
    for line in found:
        made.add_row(Text(line.name, style="bold"), *(_styled(cell) for cell in line.cells))
    return made


def _styled(cell: Cell) -> Text:
    """Return a cell with its mark."""
    if cell.best:
        return Text(f"{cell.text} {_BEST}", style="green")
    return Text(f"{cell.text} {_MISSES}", style="red") if cell.tone else Text(cell.text)


def _marks(found: Sequence[Compared]) -> Text | None:
    """Return what the marks of a table stand for; None where it has none."""
    cells = [cell for line in found for cell in line.cells]
    told = [f"{_BEST} the best of its line"] if any(cell.best for cell in cells) else []
    told += [f"{_MISSES} misses the gate"] if any(cell.tone for cell in cells) else []
    return Text("   ".join(told)) if told else None


def lines(model: QuantizedModel) -> Iterator[Line]:
    """Yield every line of the table."""
    status = model.status
    if not status.is_true(ConditionType.READY):
        found = state(model)
        yield "State", found.value, found.note
    yield from _size(status)
    if status.evaluation is not None and status.evaluation.applicable:
        yield from _quality(status.evaluation, status.quality_bounds)
    if status.footprint is not None:
        yield from _memory(host_name([model]), status.footprint, status.sizing)
        yield from _speed(status.footprint)
    yield from _durations(status)


def _size(status: QuantizedModelStatus) -> Iterator[Line]:
    source, artifact = status.source, status.artifact
    if source is not None:
        note = f"{source.architecture}, {source.parameters / 1e6:,.0f} million parameters"
        yield "Weights before", megabytes(source.weight_bytes), note
    if source is not None and artifact is not None:
        smaller = source.weight_bytes / artifact.weight_bytes
        yield "Weights after", megabytes(artifact.weight_bytes), f"{smaller:.1f} times smaller"


def _quality(found: EvaluationStatus, bounds: QualityBounds | None) -> Iterator[Line]:
    before_and_after = f"{found.base_perplexity} before, {found.perplexity} after"
    ratio = f"; gate: at most {bounds.max_perplexity_ratio}" if bounds else ""
    divergence = f"; gate: at most {bounds.max_mean_kl_divergence}" if bounds else ""
    agreement = f"; gate: at least {bounds.min_top_token_agreement}" if bounds else ""
    yield (
        "Perplexity ratio",
        _with_error(found.perplexity_ratio, found.perplexity_ratio_error),
        f"{before_and_after}{ratio}",
    )
    yield (
        "Mean KL divergence",
        _with_error(found.mean_kl_divergence, found.mean_kl_divergence_error),
        f"nats{divergence}",
    )
    yield (
        "Top-token agreement",
        _with_error(found.top_token_agreement, found.top_token_agreement_error),
        f"over {found.tokens or 0:,} tokens{agreement}",
    )


def _with_error(value: str | None, error: str | None) -> str:
    return f"{value} ± {error}" if error else str(value)


def _memory(host: str, found: FootprintStatus, sizing: Sizing | None) -> Iterator[Line]:
    yield f"{host} estimated", mebibytes(found.estimated_peak_bytes), _BEFORE
    note = f"peak at {_load(found)}: {_parts(on_host(found))}"
    yield f"{host} measured", mebibytes(found.peak_bytes), note
    if sizing is not None:
        predicted = mebibytes(sizing.predicted_peak_bytes)
        yield f"{host} predicted", predicted, f"for {_load(sizing)}"
        requested = quantity_mib(sizing.memory_bytes)
        yield f"{host} requested", requested, "request and limit of one server"
    if found.device_bytes:
        yield from _gpu_memory(found, sizing)


def _gpu_memory(found: FootprintStatus, sizing: Sizing | None) -> Iterator[Line]:
    """Yield what one server takes of all its GPUs together, which are requested whole."""
    if found.estimated_device_bytes is not None:
        yield f"{GPU} estimated", mebibytes(found.estimated_device_bytes), _BEFORE
    note = f"peak at {_load(found)}: {_parts(on_gpus(found))}"
    yield f"{GPU} measured", mebibytes(found.device_bytes), note
    if sizing is not None and sizing.device_bytes:
        yield f"{GPU} predicted", mebibytes(sizing.device_bytes), f"for {_load(sizing)}"


def _load(of: FootprintStatus | Sizing) -> str:
    return f"{of.concurrency} x {of.context_length} tokens"


def _parts(of: Split) -> str:
    """Return the parts that there are."""
    counts = {
        "weights": of.weights,
        "KV cache": of.kv,
        "compute": of.compute,
        "other": of.other,
    }
    return ", ".join(f"{name} {mebibytes(count)}" for name, count in counts.items() if count)


def _speed(found: FootprintStatus) -> Iterator[Line]:
    note = (
        f"prompt {found.prompt_tokens_per_second:.0f} tokens/s, "
        f"first token after {found.first_token_seconds:.2f} s, "
        f"loaded in {found.load_seconds:.1f} s"
    )
    yield "Generation", f"{found.tokens_per_second:.0f} tokens/s", note


def _durations(status: QuantizedModelStatus) -> Iterator[Line]:
    ended = {
        step.name: datetime.fromisoformat(step.finished) - datetime.fromisoformat(step.started)
        for step in sorted(status.steps, key=lambda step: step.started or "")
        if step.started and step.finished
    }
    if not ended:
        return
    each = ", ".join(f"{name} {duration(took.total_seconds())}" for name, took in ended.items())
    total = sum(took.total_seconds() for took in ended.values())
    yield "Jobs", duration(total), each
