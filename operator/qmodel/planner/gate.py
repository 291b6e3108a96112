"""The quality gate: stored numbers against the bounds that spec has now."""

from decimal import Decimal

from qmodel.api.conditions import ConditionType
from qmodel.api.quality import OnFailure, QualityBounds
from qmodel.api.status import EvaluationStatus
from qmodel.planner import context as stage
from qmodel.planner.context import StageResult
from qmodel.worker.report import Evaluation

_FIELDS = (
    "base_perplexity",
    "perplexity",
    "perplexity_ratio",
    "perplexity_ratio_error",
    "mean_kl_divergence",
    "mean_kl_divergence_error",
    "top_token_agreement",
    "top_token_agreement_error",
)


def to_status(found: Evaluation, revision: str, key: str) -> EvaluationStatus:
    """Return an evaluation as status keeps it: decimals as strings, four places."""
    decimals = {name: f"{getattr(found, name):.4f}" for name in _FIELDS}
    return EvaluationStatus(
        revision=revision,
        key=key,
        tokens=found.tokens,
        text=found.text,
        text_digest=found.text_digest,
        seconds=found.seconds,
        **decimals,
    )


def not_applicable() -> StageResult:
    """Return the verdict on a source that is served as it is: there is nothing to compare."""
    return stage.done(ConditionType.EVALUATED, "NotApplicable", "the source is served as it is")


def judge(bounds: QualityBounds, on_failure: OnFailure, found: EvaluationStatus) -> StageResult:
    """Return the verdict on an evaluation under these bounds."""
    missed = _missed(bounds, found)
    if not missed:
        return stage.done(ConditionType.EVALUATED, "WithinGate", _numbers(found))
    message = f"{'; '.join(missed)}. {_numbers(found)}"
    if on_failure is OnFailure.WARN:
        return stage.done(ConditionType.EVALUATED, "BelowGateAccepted", message)
    advice = "Choose a larger type, or change spec.qualityGate: nothing is quantized anew for that."
    return stage.blocked(ConditionType.EVALUATED, "BelowGate", f"{message}. {advice}")


def _missed(bounds: QualityBounds, found: EvaluationStatus) -> list[str]:
    """Return one sentence a bound that the evaluation misses."""
    most_ratio, most_divergence = bounds.max_perplexity_ratio, bounds.max_mean_kl_divergence
    least_agreement = bounds.min_top_token_agreement
    checks = (
        ("perplexity ratio", found.perplexity_ratio, most_ratio, "at most"),
        ("mean KL divergence", found.mean_kl_divergence, most_divergence, "at most"),
        ("top-token agreement", found.top_token_agreement, least_agreement, "at least"),
    )
    return [
        f"{name} is {value}, allowed is {bound} {limit}"
        for name, value, limit, bound in checks
        if value is not None and _misses(Decimal(value), Decimal(limit), bound)
    ]


def _misses(value: Decimal, limit: Decimal, bound: str) -> bool:
    return value > limit if bound == "at most" else value < limit


def _numbers(found: EvaluationStatus) -> str:
    return (
        f"perplexity ratio {found.perplexity_ratio} ± {found.perplexity_ratio_error}, "
        f"mean KL divergence {found.mean_kl_divergence}, "
        f"top-token agreement {found.top_token_agreement}, over {found.tokens} tokens"
    )
