"""The quality gate: how much worse than the unquantized model the artifact may be."""

from enum import StrEnum

from pydantic import ConfigDict

from qmodel.api.base import ApiModel, cel, rules
from qmodel.api.quantities import DecimalString
from qmodel.api.texts import TextSource


class OnFailure(StrEnum):
    """What a missed gate does."""

    BLOCK = "Block"
    WARN = "Warn"


class QualityBounds(ApiModel):
    """What a quality gate holds an artifact to."""

    max_perplexity_ratio: DecimalString
    max_mean_kl_divergence: DecimalString
    min_top_token_agreement: DecimalString


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

    max_perplexity_ratio: DecimalString | None = None
    """Largest quantized perplexity over unquantized perplexity; absent: by the bits of a weight."""
    max_mean_kl_divergence: DecimalString | None = None
    """Largest mean Kullback-Leibler divergence of the next-token distributions, in nats; absent:
    by the bits of a weight."""
    min_top_token_agreement: DecimalString | None = None
    """Smallest share of positions where both models rank the same token first, 0 to 1; absent: by
    the bits of a weight."""
    on_failure: OnFailure = OnFailure.BLOCK
    """Block: the model is not served. Warn: it is served, and the condition says so."""
    text: TextSource | None = None
    """Text to judge on; absent: the built-in text and samples of the unquantized model."""
