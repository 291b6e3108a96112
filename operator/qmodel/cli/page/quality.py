"""The three measures of quality, each with its uncertainty and the gate that it has to pass."""

from dataclasses import dataclass
from decimal import Decimal

from qmodel.api.resource import QuantizedModel

DIVERGENCE = "Mean KL divergence"
STANDARD_ERRORS = 1.96
"""Half the width of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One measure of one model.

    Parameters
    ----------
    error
        Standard error.
    at_most
        Whether the gate is an upper bound.
    """

    name: str
    value: float
    error: float
    gate: float
    at_most: bool
    ideal: float
    """What a perfect copy would have."""
    meaning: str

    @property
    def passes(self) -> bool:
        """Whether the gate lets it through; as the operator judges, by the value alone."""
        return self.value <= self.gate if self.at_most else self.value >= self.gate

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        half = STANDARD_ERRORS * self.error
        return self.value - half, self.value + half

    @property
    def bound(self) -> str:
        """The gate in words."""
        return f"at {'most' if self.at_most else 'least'} {self.gate:g}"


def gauges(model: QuantizedModel) -> list[Gauge]:
    """Return the measures; none where nothing was compared, or nothing said to be held to."""
    found, bounds = model.status.evaluation, model.status.quality_bounds
    if found is None or bounds is None or not found.applicable:
        return []
    measures = [
        (
            "Perplexity ratio",
            (found.perplexity_ratio, found.perplexity_ratio_error),
            (float(bounds.max_perplexity_ratio), True, 1.0),
            "quantized over unquantized perplexity",
        ),
        (
            DIVERGENCE,
            (found.mean_kl_divergence, found.mean_kl_divergence_error),
            (float(bounds.max_mean_kl_divergence), True, 0.0),
            "of the next-token distributions, in nats",
        ),
        (
            "Top-token agreement",
            (found.top_token_agreement, found.top_token_agreement_error),
            (float(bounds.min_top_token_agreement), False, 1.0),
            "positions where both rank the same token first",
        ),
    ]
    return [
        Gauge(name, float(value), _number(error), *bound, meaning)
        for name, (value, error), bound, meaning in measures
        if value is not None
    ]


def _number(text: str | None) -> float:
    return float(Decimal(text)) if text else 0.0
