from typing import Any

import pytest

from qmodel.api.quality import QualityGate
from qmodel.api.quantization import Quantization
from qmodel.api.status import EvaluationStatus
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


def test_a_source_served_as_it_is_has_nothing_to_miss() -> None:
    strict = QualityGate(max_perplexity_ratio="0", max_mean_kl_divergence="0")
    result = judge(strict, EvaluationStatus(revision="r", key="k", applicable=False))
    assert result.verdict is not None
    assert result.verdict.reason == "NotApplicable"
