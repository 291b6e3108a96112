import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmodel.worker.quality import levels


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def on_grid(weights: np.ndarray, group: int, grid: np.ndarray) -> np.ndarray:
    """Round each weight to a grid scaled to the largest magnitude of its group."""
    groups = weights.reshape(-1, group)
    scales = np.abs(groups).max(axis=1, keepdims=True)
    nearest = np.abs(groups[..., None] / scales[..., None] - grid).argmin(axis=-1)
    return (grid[nearest] * scales).reshape(weights.shape).astype(np.float32)


def test_nf4_has_the_quantiles_of_the_normal_distribution() -> None:
    found = levels.nf4(2.0)
    assert len(found) == 16
    assert (found[0], found[7], found[-1]) == (-2.0, 0.0, 2.0)
    assert found == sorted(found)
    # Half of the values are spread over the quantiles between 1 - 0.9677 and a half.
    assert found[4] == pytest.approx(2 * -0.2844, abs=1e-3)


def test_integer_grid_is_even_and_reaches_to_the_largest() -> None:
    found = np.array(levels.int4(1.5))
    assert len(found) == 16
    assert np.diff(found) == pytest.approx(np.full(15, 0.2))
    assert found.max() == pytest.approx(1.4)
    assert found.min() == pytest.approx(-1.6)


@pytest.mark.parametrize("group", [32, 64])
def test_typical_group_shows_every_level_of_its_scale(group: int) -> None:
    grid = np.array(levels.NF4)
    found = levels.typical(on_grid(normal(256, 128), group, grid), group)
    assert len(found) == 16
    assert np.array(found) / max(found) == pytest.approx(grid, abs=1e-6)


def test_group_of_a_whole_row_is_bounded() -> None:
    found = levels.typical(normal(4, 1000), -1)
    assert len(found) == levels.MAX_LEVELS
    assert found == sorted(found)


def test_values_that_fill_no_group_are_left_out() -> None:
    assert len(levels.largest(normal(3, 50), 64)) == 2


def test_centroids_of_clusters_are_their_means() -> None:
    centres = np.arange(16) * 10.0
    values = (centres[:, None] + normal(16, 100)).astype(np.float32)
    assert levels.k_means(values) == pytest.approx(values.mean(axis=1), abs=1e-3)


def test_centroids_are_nearer_than_any_even_grid() -> None:
    values = normal(20_000)

    def error(grid: list[float]) -> float:
        nearest = np.abs(values[:, None] - np.array(grid)).min(axis=1)
        return float(np.square(nearest).mean())

    assert error(levels.k_means(values)) < error(levels.int4(float(np.abs(values).max())))


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=60))
def test_centroids_lie_among_the_values(values: list[float]) -> None:
    found = levels.k_means(np.array(values))
    assert len(found) == levels.CENTROIDS
    assert found == sorted(found)
    assert min(values) - 1e-3 <= found[0]
    assert found[-1] <= max(values) + 1e-3
