"""How good an artifact must be where the user says nothing: by the bits of its weights.

What is lost grows with every bit that is taken, so one bound for all would be no bound for eight
bits, or forbid three. The bounds are for models of 7 B weights and more; smaller ones lose more,
and their users choose a larger type or a bound of their own (docs/quality.md has the figures).
"""

from qmodel.api.methods import Method
from qmodel.api.quality import QualityBounds, QualityGate
from qmodel.sizing.artifact import bits_per_weight
from qmodel.sizing.bits_per_weight import weight_bits
from qmodel.worker.task import Recipe

_WIDE_ROW = 4096
"""Weights of a row for which types are told apart: fallbacks of narrow rows do not count."""
_ACTIVATIONS_COST_BITS = 1
"""Formats that round activations to four bits too lose as much as one bit fewer."""


def _bounds(ratio: str, divergence: str, agreement: str) -> QualityBounds:
    return QualityBounds(
        max_perplexity_ratio=ratio,
        max_mean_kl_divergence=divergence,
        min_top_token_agreement=agreement,
    )


_BY_BITS = (
    (7.0, _bounds("1.02", "0.02", "0.90")),
    (4.22, _bounds("1.05", "0.05", "0.90")),
    (2.9, _bounds("1.20", "0.20", "0.80")),
    (0.0, _bounds("1.60", "0.50", "0.65")),
)
"""Least bits of a weight, scales included, and the bounds from there on."""


def quality_bounds(gate: QualityGate, recipe: Recipe) -> QualityBounds:
    """Return the gate's bounds, and those of the recipe's bits where it names none."""
    if recipe.gguf is not None:
        bits = weight_bits(recipe.gguf.type, _WIDE_ROW).mix
    else:
        bits = bits_per_weight(recipe, _WIDE_ROW)
    if recipe.method in (Method.NVFP4, Method.MXFP4):
        bits -= _ACTIVATIONS_COST_BITS
    default = next(bounds for least, bounds in _BY_BITS if bits >= least)
    given = gate.model_dump(include=set(QualityBounds.model_fields), exclude_none=True)
    return default.model_copy(update=given)
