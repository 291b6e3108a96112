from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmodel.worker.quality.measures import PassageSums, clustered_mean, log_softmax, summarize


def logits_of(*rows: list[float]) -> np.ndarray:
    return np.log(np.array(rows)).astype(np.float32)


def sums_of(base: np.ndarray, quantized: np.ndarray, targets: list[int]) -> PassageSums:
    sums = PassageSums()
    sums.add(base, quantized, np.array(targets))
    return sums


def test_known_distributions_give_known_measures() -> None:
    base = logits_of([0.5, 0.25, 0.25], [0.1, 0.2, 0.7])
    quantized = logits_of([0.25, 0.5, 0.25], [0.1, 0.2, 0.7])
    sums = sums_of(base, quantized, [0, 2])
    assert sums.tokens == 2
    assert sums.base_loss == pytest.approx(-log(0.5) - log(0.7), rel=1e-6)
    assert sums.loss == pytest.approx(-log(0.25) - log(0.7), rel=1e-6)
    assert sums.divergence == pytest.approx(0.5 * log(2) + 0.25 * log(0.5), rel=1e-6)
    assert sums.agreements == 1


def test_divergence_of_bernoulli_distributions() -> None:
    p, q = 0.3, 0.6
    sums = sums_of(logits_of([p, 1 - p]), logits_of([q, 1 - q]), [0])
    assert sums.divergence == pytest.approx(
        p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)), rel=1e-6
    )


def test_equal_models_are_equal() -> None:
    logits = np.random.default_rng(1).normal(size=(40, 100)).astype(np.float32)
    quality = summarize([sums_of(logits, logits, [3] * 40), sums_of(logits, logits, [5] * 40)])
    assert quality.perplexity_ratio == 1.0
    assert quality.perplexity_ratio_error == 0.0
    assert quality.mean_kl_divergence == 0.0
    assert quality.top_token_agreement == 1.0


def test_ratio_and_errors_by_closed_form() -> None:
    passages = [
        PassageSums(tokens=10, base_loss=20.0, loss=21.0, divergence=1.0, agreements=9),
        PassageSums(tokens=30, base_loss=60.0, loss=66.0, divergence=2.0, agreements=24),
    ]
    quality = summarize(passages)
    assert quality.base_perplexity == pytest.approx(exp(80 / 40))
    assert quality.perplexity == pytest.approx(exp(87 / 40))
    assert quality.perplexity_ratio == pytest.approx(exp(7 / 40))
    residuals = (1.0 - 10 * 7 / 40) ** 2 + (6.0 - 30 * 7 / 40) ** 2
    assert quality.perplexity_ratio_error == pytest.approx(exp(7 / 40) * sqrt(2 * residuals) / 40)
    assert quality.mean_kl_divergence == pytest.approx(3 / 40)
    assert quality.top_token_agreement == pytest.approx(33 / 40)


def test_equal_clusters_give_the_standard_error_of_their_means() -> None:
    means = np.random.default_rng(2).normal(size=50)
    mean, error = clustered_mean(list(means * 8), np.full(50, 8))
    assert mean == pytest.approx(means.mean())
    assert error == pytest.approx(means.std(ddof=1) / sqrt(50))


def test_dependent_tokens_do_not_shrink_the_error() -> None:
    random = np.random.default_rng(3)
    passages = random.normal(size=200)
    _, once = clustered_mean(list(passages), np.ones(200, dtype=int))
    _, repeated = clustered_mean(list(passages * 64), np.full(200, 64))
    assert repeated == pytest.approx(once)


@given(
    st.integers(1, 40),
    st.integers(2, 20),
    st.floats(0.1, 50.0),
    st.integers(0, 2**32 - 1),
)
def test_invariants(positions: int, vocabulary: int, scale: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    base = (random.normal(size=(positions, vocabulary)) * scale).astype(np.float32)
    quantized = (random.normal(size=(positions, vocabulary)) * scale).astype(np.float32)
    targets = random.integers(0, vocabulary, size=positions)
    whole = sums_of(base, quantized, list(targets))
    assert whole.divergence >= -1e-9
    assert whole.loss >= 0
    assert 0 <= whole.agreements <= positions
    shifted = sums_of(base + 7, quantized - 3, list(targets))
    assert shifted.divergence == pytest.approx(whole.divergence, rel=1e-3, abs=1e-3)
    parts = PassageSums()
    for i in range(positions):
        parts.add(base[i : i + 1], quantized[i : i + 1], targets[i : i + 1])
    assert parts.divergence == pytest.approx(whole.divergence)
    assert (parts.tokens, parts.agreements) == (whole.tokens, whole.agreements)


def test_huge_logits_do_not_overflow() -> None:
    rows, _ = log_softmax(np.array([[3e38, 0.0], [-3e38, 0.0]], dtype=np.float32))
    assert rows[0, 0] == 0.0
    assert rows[1, 1] == 0.0


def test_broken_logits_are_refused() -> None:
    logits = np.zeros((2, 4), dtype=np.float32)
    broken = logits.copy()
    broken[1, 2] = np.nan
    with pytest.raises(ValueError, match="not a finite number"):
        sums_of(logits, broken, [0, 0])
    with pytest.raises(ValueError, match="shapes differ"):
        sums_of(logits, np.zeros((2, 5), dtype=np.float32), [0, 0])


def test_one_passage_has_no_standard_error() -> None:
    with pytest.raises(ValueError, match="two passages, found 1"):
        summarize([PassageSums(tokens=5), PassageSums()])
