"""How far the quantized model is from the unquantized one, from logits on the same tokens.

Three paired measures over all scored positions of all passages:

- perplexity ratio: exp(mean(log p(t) - log q(t))) with t the token that followed;
- mean Kullback-Leibler divergence of the next-token distributions, KL(p || q), in nats;
- top-token agreement: share of positions where p and q rank the same token first;

p is the unquantized model's distribution, q the quantized model's. Perplexity alone misleads: a
model can lose on some tokens what it wins on others. Tokens of one passage are not independent,
so the standard errors are clustered by passage (Miller, "Adding Error Bars to Evals",
arXiv:2411.00640, section 2.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[np.floating[Any]]
Tokens = npt.NDArray[np.integer[Any]]

ROWS_AT_ONCE = 16
"""Positions worked on at once: bounds the double-precision copies of wide vocabularies."""


@dataclass
class PassageSums:
    """Sums over the scored positions of one passage; logits stream through, none are kept."""

    tokens: int = 0
    base_loss: float = 0.0
    loss: float = 0.0
    divergence: float = 0.0
    agreements: int = 0

    def add(self, base_logits: Logits, logits: Logits, targets: Tokens) -> None:
        """Add consecutive positions.

        Parameters
        ----------
        base_logits, logits
            Unnormalised log-probabilities of both models, (positions, vocabulary) each.
        targets
            The token that followed each position, (positions,).

        Raises
        ------
        ValueError
            If the shapes differ or a logit is not finite.
        """
        if base_logits.shape != logits.shape or len(targets) != len(logits):
            message = f"shapes differ: {base_logits.shape}, {logits.shape}, {targets.shape}"
            raise ValueError(message)
        for start in range(0, len(targets), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            self._add_rows(base_logits[rows], logits[rows], targets[rows])

    def _add_rows(self, base_logits: Logits, logits: Logits, targets: Tokens) -> None:
        (log_p, p), (log_q, _) = log_softmax(base_logits), log_softmax(logits)
        positions = np.arange(len(targets))
        base_losses, losses = log_p[positions, targets], log_q[positions, targets]
        divergences = np.einsum("ij,ij->i", p, np.subtract(log_p, log_q, out=log_p))
        if not np.isfinite(divergences).all():  # nor is one that has a logit that is none
            message = "a logit is not a finite number"
            raise ValueError(message)
        self.tokens += len(targets)
        self.base_loss -= float(base_losses.sum())
        self.loss -= float(losses.sum())
        self.divergence += float(divergences.sum())
        self.agreements += int((base_logits.argmax(axis=1) == logits.argmax(axis=1)).sum())


@dataclass(frozen=True)
class Quality:
    """The three measures with their standard errors."""

    tokens: int
    base_perplexity: float
    perplexity: float
    perplexity_ratio: float
    perplexity_ratio_error: float
    mean_kl_divergence: float
    mean_kl_divergence_error: float
    top_token_agreement: float
    top_token_agreement_error: float


def log_softmax(logits: Logits) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return log-probabilities and probabilities of each row, in double precision."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    shifted -= np.log(sums)
    exponentials /= sums
    return shifted, exponentials


def summarize(passages: Sequence[PassageSums]) -> Quality:
    """Return the measures over all passages.

    The ratio is exp(d) with d a mean, so its standard error is exp(d) times that of d (delta
    method).

    Raises
    ------
    ValueError
        If there are fewer than two passages with tokens.
    """
    scored = [passage for passage in passages if passage.tokens]
    counts = np.array([passage.tokens for passage in scored])
    difference, difference_error = clustered_mean([p.loss - p.base_loss for p in scored], counts)
    divergence, divergence_error = clustered_mean([p.divergence for p in scored], counts)
    agreement, agreement_error = clustered_mean([p.agreements for p in scored], counts)
    base_loss, _ = clustered_mean([p.base_loss for p in scored], counts)
    loss, _ = clustered_mean([p.loss for p in scored], counts)
    return Quality(
        tokens=int(counts.sum()),
        base_perplexity=exp(base_loss),
        perplexity=exp(loss),
        perplexity_ratio=exp(difference),
        perplexity_ratio_error=exp(difference) * difference_error,
        mean_kl_divergence=max(divergence, 0.0),  # rounding can leave -1e-17 for equal models
        mean_kl_divergence_error=divergence_error,
        top_token_agreement=agreement,
        top_token_agreement_error=agreement_error,
    )


def clustered_mean(
    sums: Sequence[float], counts: npt.NDArray[np.integer[Any]]
) -> tuple[float, float]:
    """Return the mean over all tokens and its standard error, clustered.

    Parameters
    ----------
    sums
        Sum of the measure over each cluster.
    counts
        Tokens of each cluster.

    Notes
    -----
    The ratio estimator of cluster sampling: mean = sum(s) / sum(n), variance =
    C / (C - 1) * sum((s - mean * n)^2) / sum(n)^2 over C clusters.
    """
    clusters = len(counts)
    if clusters < 2:  # noqa: PLR2004  a spread needs two
        message = f"standard errors need two passages, found {clusters}"
        raise ValueError(message)
    total = counts.sum()
    mean = float(np.sum(sums) / total)
    residuals = np.asarray(sums, dtype=np.float64) - mean * counts
    variance = clusters / (clusters - 1) * float(np.sum(residuals**2)) / float(total) ** 2
    return mean, sqrt(variance)
