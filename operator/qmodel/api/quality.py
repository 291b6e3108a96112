"""The quality gate: how much worse than the unquantized model the artifact may be."""

from decimal import Decimal
from enum import StrEnum

from pydantic import ConfigDict

from qmodel.api.base import ApiModel, cel, rules
from qmodel.api.quantities import DecimalString
from qmodel.api.texts import TextSource


class OnFailure(StrEnum):
    """What a missed gate does."""

    BLOCK = "Block"
    WARN = "Warn"


class QualityGate(ApiModel):
    """Bounds on the paired comparison with the unquantized source, on the same tokens."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.minTopTokenAgreement) || double(self.minTopTokenAgreement) <= 1.0",
                "minTopTokenAgreement must be between 0 and 1",
            )
        )
    )

    max_perplexity_ratio: DecimalString = "1.05"
    """Largest quantized perplexity over unquantized perplexity."""
    max_mean_kl_divergence: DecimalString = "0.05"
    """Largest mean Kullback-Leibler divergence of the next-token distributions, in nats."""
    min_top_token_agreement: DecimalString = "0.90"  # noqa: S105  a bound, no password
    """Smallest share of positions where both models rank the same token first, 0 to 1."""
    on_failure: OnFailure = OnFailure.BLOCK
    """Block: the model is not served. Warn: it is served, and the condition says so."""
    text: TextSource | None = None
    """Text to judge on; absent: the built-in text and samples of the unquantized model."""

    @property
    def bounds(self) -> tuple[Decimal, Decimal, Decimal]:
        """Largest ratio, largest divergence, smallest agreement."""
        return (
            Decimal(self.max_perplexity_ratio),
            Decimal(self.max_mean_kl_divergence),
            Decimal(self.min_top_token_agreement),
        )
