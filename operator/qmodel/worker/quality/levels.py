"""Values that quantized weights can take: read from a weight, or by the rule of a scheme."""

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating]

NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0,
)  # fmt: skip
"""Quantiles of the normal distribution that NF4 stores, scaled to [-1, 1] (QLoRA,
arXiv:2305.14314, appendix E)."""
COMPARED_GROUP = 64
"""Group size at which the schemes for comparison are drawn: NF4's own."""
MAX_LEVELS = 256
CENTROIDS = 16
_LIKE_MEDIAN = 0.05
"""A group is typical if its largest weight is that close to the median of all groups'."""
_MAX_COMPARED = 4096
_MAX_ROUNDS = 100


def largest(values: Values, group_size: int) -> Values:
    """Return the largest magnitude of each group of `group_size` consecutive values."""
    magnitudes: Values = np.abs(_groups(values, group_size)).max(axis=1)
    return magnitudes


def typical(values: Values, group_size: int) -> list[float]:
    """Return the distinct values of a typical group, rising.

    Of the groups whose largest magnitude is about the median of all, the one that takes the most
    different values: so it shows the most of what its scale allows.
    """
    groups = _groups(values, group_size)
    magnitudes = np.abs(groups).max(axis=1)
    median = np.median(magnitudes)
    distances = np.abs(magnitudes - median)
    alike = max(1, int(np.count_nonzero(distances <= _LIKE_MEDIAN * median)))
    nearest = groups[np.argsort(distances)[: min(alike, _MAX_COMPARED)]]
    return _bounded(max(map(np.unique, nearest), key=len))


def nf4(magnitude: float) -> list[float]:
    """Return NF4's values for a group whose largest magnitude is given."""
    return [level * magnitude for level in NF4]


def int4(magnitude: float) -> list[float]:
    """Return the 16 evenly spaced values of a symmetric grid that reaches to `magnitude`."""
    scale = magnitude / 7.5
    return [level * scale for level in range(-8, 8)]


def k_means(values: Values, count: int = CENTROIDS) -> list[float]:
    """Return centroids of values in one dimension, rising: Lloyd's algorithm from quantiles.

    Sums between borders come from one cumulative sum over the sorted values, so a round costs a
    binary search for each centroid.
    """
    ordered = np.sort(values.astype(np.float64).ravel())
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centroids = np.quantile(ordered, (np.arange(count) + 0.5) / count)
    for _ in range(_MAX_ROUNDS):
        inner = np.searchsorted(ordered, (centroids[1:] + centroids[:-1]) / 2)
        borders = np.concatenate([[0], inner, [len(ordered)]])
        sizes = np.diff(borders)
        means = np.diff(sums[borders]) / np.maximum(sizes, 1)
        moved = np.where(sizes > 0, means, centroids)
        if np.allclose(moved, centroids, rtol=1e-6, atol=0):
            break
        centroids = moved
    return sorted(float(centroid) for centroid in centroids)  # rounding can swap equal ones


def _groups(values: Values, group_size: int) -> Values:
    """Return [groups, group_size], leaving out what does not fill a group."""
    size = group_size if group_size > 0 else values.shape[-1]
    flat = values.reshape(-1)
    return flat[: len(flat) // size * size].reshape(-1, size)


def _bounded(distinct: Values) -> list[float]:
    """Return at most MAX_LEVELS of rising values, evenly chosen."""
    if len(distinct) > MAX_LEVELS:
        distinct = distinct[np.linspace(0, len(distinct) - 1, MAX_LEVELS).astype(int)]
    return [float(value) for value in distinct]
