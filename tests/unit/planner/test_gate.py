from typing import Any

import pytest

from qmodel.api.quality import QualityGate
from qmodel.api.quantization import Quantization
from qmodel.planner.context import Verdict
from qmodel.planner.gate import judge, to_status
from qmodel.planner.recipes import recipe
from qmodel.sizing.bounds import quality_bounds
from unit.planner.values import EVALUATION

GGUF = {"method": "GGUF", "gguf": {"type": "Q4_K_M"}}


def verdict(gate: dict[str, Any], **measured: Any) -> Verdict:
    """Return the verdict on an evaluation with these numbers."""
    found = to_status(EVALUATION.model_copy(update=measured), "revision", "key")
    asked = QualityGate.model_validate(gate)
    bounds = quality_bounds(asked, recipe(Quantization.model_validate(GGUF)))
    result = judge(bounds, asked.on_failure, found).verdict
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("bound", "limit", "passes"),
    [
        ("maxPerplexityRatio", "1.02", True),
        ("maxPerplexityRatio", "1.0199", False),
        ("maxMeanKLDivergence", "0.01", True),
        ("maxMeanKLDivergence", "0.0099", False),
        ("minTopTokenAgreement", "0.95", True),
        ("minTopTokenAgreement", "0.9501", False),
    ],
)
def test_a_bound_itself_is_within_the_gate(bound: str, limit: str, passes: bool) -> None:  # noqa: FBT001
    found = verdict({bound: limit})
    assert (found.status == "True") is passes
    assert found.reason == ("WithinGate" if passes else "BelowGate")


def test_every_missed_bound_is_named_with_its_limit() -> None:
    found = verdict({}, perplexity_ratio=2.0, mean_kl_divergence=0.5, top_token_agreement=0.5)
    assert "perplexity ratio is 2.0000, allowed is at most 1.05" in found.message
    assert "mean KL divergence is 0.5000, allowed is at most 0.05" in found.message
    assert "top-token agreement is 0.5000, allowed is at least 0.90" in found.message
    assert "spec.qualityGate" in found.message


def test_a_gate_that_warns_lets_the_model_through_and_says_what_was_missed() -> None:
    found = verdict({"onFailure": "Warn"}, perplexity_ratio=2.0)
    assert (found.status, found.reason) == ("True", "BelowGateAccepted")
    assert "perplexity ratio is 2.0000" in found.message


def test_numbers_are_kept_as_decimals_with_four_places() -> None:
    kept = to_status(EVALUATION.model_copy(update={"perplexity_ratio": 1.04996}), "r", "k")
    assert (kept.perplexity_ratio, kept.base_perplexity) == ("1.0500", "20.0000")


@pytest.mark.parametrize(
    ("quantization", "most_ratio"),
    [
        ({"method": "GGUF", "gguf": {"type": "Q8_0"}}, "1.02"),
        ({"method": "FP8"}, "1.02"),
        ({"method": "INT8"}, "1.02"),
        ({"method": "BitsAndBytes", "bitsAndBytes": {"type": "INT8"}}, "1.02"),
        ({"method": "GGUF", "gguf": {"type": "Q6_K"}}, "1.05"),
        ({"method": "GGUF", "gguf": {"type": "Q4_K_M"}}, "1.05"),
        ({"method": "AWQ"}, "1.05"),
        ({"method": "GPTQ", "gptq": {"groupSize": 32}}, "1.05"),
        ({"method": "NVFP4"}, "1.20"),
        ({"method": "BitsAndBytes"}, "1.05"),
        ({"method": "GGUF", "gguf": {"type": "Q3_K_M"}}, "1.20"),
        ({"method": "GGUF", "gguf": {"type": "IQ2_XS", "importanceMatrix": True}}, "1.60"),
    ],
)
def test_fewer_bits_are_allowed_to_lose_more(quantization: dict[str, Any], most_ratio: str) -> None:
    made = recipe(Quantization.model_validate(quantization))
    assert quality_bounds(QualityGate(), made).max_perplexity_ratio == most_ratio


def test_the_users_bounds_replace_one_by_one() -> None:
    made = recipe(Quantization.model_validate(GGUF))
    found = quality_bounds(QualityGate(max_perplexity_ratio="1.5"), made)
    assert (found.max_perplexity_ratio, found.max_mean_kl_divergence) == ("1.5", "0.05")
