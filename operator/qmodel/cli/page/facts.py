"""What was asked and what was done, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from qmodel.api.conditions import ConditionStatus, ConditionType
from qmodel.api.quantization import Quantization
from qmodel.api.resource import QuantizedModel
from qmodel.api.source import Source
from qmodel.api.status import QuantizedModelStatus
from qmodel.cli.page.memory import GPU, host_name
from qmodel.cli.page.quality import gauges
from qmodel.cli.page.subject import Subject
from qmodel.cli.units import mebibytes, megabytes
from qmodel.planner import recipes
from qmodel.worker.recipe_words import in_words

Fact = tuple[str, str]
"""What, and its value."""

CALIBRATIONS = {
    "SelfDrawn": "samples that the unquantized model drew itself",
    "User": "text of the user",
}
TEXTS = {"BuiltIn": "the built-in text and samples of the source", "User": "text of the user"}


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure that is seen first.

    Parameters
    ----------
    tone
        `good`, `bad` or empty.
    """

    label: str
    value: str
    note: str
    tone: str = ""


def recipe(asked: Quantization) -> str:
    """Return a recipe in few words, defaults filled in."""
    return in_words(recipes.recipe(asked))


def where(source: Source) -> str:
    """Return where a model comes from."""
    if source.hugging_face is not None:
        return f"{source.hugging_face.repository} at {source.hugging_face.revision}"
    if source.persistent_volume_claim is not None:
        claim = source.persistent_volume_claim
        return f"claim {claim.claim_name}, {claim.path or 'its root'}"
    if source.s3 is not None:
        return source.s3.uri
    return source.oci.reference if source.oci is not None else ""


def asked(model: QuantizedModel) -> list[Fact]:
    """Return what the user wrote, defaults filled in."""
    spec = model.spec
    context = spec.serving.context_length
    length = f"{context:,} tokens" if context else "as the model has"
    return [
        ("Source", where(spec.source)),
        ("Quantization", recipe(spec.quantization)),
        ("Quality gate", _gate(model)),
        ("Context", f"{length}, {spec.serving.concurrency} at once"),
        ("Accelerator", spec.accelerator.type.value),
    ]


def _gate(model: QuantizedModel) -> str:
    """Return what the model is held to: as written, else as the operator filled it in."""
    gate, bounds = model.spec.quality_gate, model.status.quality_bounds
    ratio = gate.max_perplexity_ratio or (bounds and bounds.max_perplexity_ratio)
    divergence = gate.max_mean_kl_divergence or (bounds and bounds.max_mean_kl_divergence)
    agreement = gate.min_top_token_agreement or (bounds and bounds.min_top_token_agreement)
    if ratio is None or divergence is None or agreement is None:
        return "the default of the recipe"
    held = f"ratio at most {ratio}, KL divergence at most {divergence}, agreement at least "
    return f"{held}{agreement}; {gate.on_failure.value.lower()} if missed"


def done(subject: Subject) -> list[Fact]:
    """Return what was found, made and decided, as far as it is known."""
    found = [*_done(subject.model), ("Libraries", _libraries(subject.files.provenance))]
    return [(name, text) for name, text in found if text]


def _libraries(provenance: dict[str, Any]) -> str:
    """Return the libraries that made the artifact, with their versions."""
    found = provenance.get("libraries")
    named = found.items() if isinstance(found, dict) else ()
    return ", ".join(f"{name} {version}" for name, version in named if isinstance(version, str))


def _done(model: QuantizedModel) -> Iterator[Fact]:
    status = model.status
    source, made, judged = status.source, status.artifact, status.evaluation
    if source is not None:
        size = f"{source.parameters / 1e6:,.0f} million weights, {megabytes(source.weight_bytes)}"
        yield "Source", f"{source.architecture}, {size} as {source.format}"
        yield "Revision", source.source_revision
        yield "Already quantized", source.quantization.description if source.quantization else ""
    backend = model.spec.quantization.chosen_backend
    yield "Quantized by", backend.value if backend else ""
    if made is not None:
        yield "Artifact", f"{megabytes(made.weight_bytes)} of weights, {made.files} files"
        yield "Calibrated on", _calibration(made.calibration, made.calibration_samples)
        yield "Made by another model", "yes, reused" if made.reused else ""
    if judged is not None and judged.applicable:
        yield "Judged on", f"{judged.tokens or 0:,} tokens: {TEXTS.get(judged.text or '', '')}"
    if status.footprint is not None:
        yield "Served by", f"{status.footprint.engine.value} {status.footprint.engine_version}"
    if status.accelerator is not None:
        yield "Accelerator", status.accelerator.reason
    yield "Endpoint", status.endpoint or ""


def _calibration(kind: str | None, samples: int | None) -> str:
    if kind is None:
        return ""
    return f"{samples} {CALIBRATIONS[kind]}" if samples else CALIBRATIONS[kind]


def state(model: QuantizedModel) -> Tile:
    """Return whether the model is ready, and else what keeps it."""
    condition = model.status.condition(ConditionType.READY)
    if condition is None:
        return Tile("State", "New", "no operator has looked at it yet")
    if condition.status is ConditionStatus.TRUE:
        return Tile("State", "Ready", condition.message, "good")
    tone = "bad" if condition.status is ConditionStatus.FALSE else ""
    return Tile("State", condition.reason, condition.message, tone)


def tiles(model: QuantizedModel) -> list[Tile]:
    """Return the figures that are seen first."""
    return list(_tiles(model))


def _tiles(model: QuantizedModel) -> Iterator[Tile]:
    status = model.status
    source, made, found = status.source, status.artifact, status.footprint
    if source is not None and made is not None:
        smaller = source.weight_bytes / made.weight_bytes
        note = f"{smaller:.1f} times smaller than {megabytes(source.weight_bytes)}"
        yield Tile("Weights", megabytes(made.weight_bytes), note)
    for gauge in gauges(model):
        tone = "good" if gauge.passes else "bad"
        yield Tile(gauge.name, f"{gauge.value:.4g}", f"gate: {gauge.bound}", tone)
    if found is not None:
        limit = status.sizing.memory_bytes if status.sizing else None
        note = f"limit {mebibytes(limit)}" if limit else "measured under full load"
        yield Tile(host_name([model]), mebibytes(found.peak_bytes), note)
        if found.device_bytes:
            yield Tile(GPU, mebibytes(found.device_bytes), _gpus(status))
        first = f"first token after {found.first_token_seconds:.2f} s"
        yield Tile("Generation", f"{found.tokens_per_second:.0f} tokens/s", first)


def _gpus(status: QuantizedModelStatus) -> str:
    """Return which GPUs one server has."""
    chosen = status.accelerator
    if chosen is None or not chosen.count:
        return "of all its GPUs"
    return f"on {chosen.count} x {chosen.resource_name}"
