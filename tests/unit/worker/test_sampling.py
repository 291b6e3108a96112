import numpy as np
import pytest

from qmodel.worker.backends import sampling


def test_tokens_are_drawn_by_their_probability() -> None:
    logits = np.log(np.tile([0.1, 0.2, 0.7], (20_000, 1))).astype(np.float32)
    drawn = sampling.draw(logits, np.random.default_rng(1))
    shares = np.bincount(drawn, minlength=3) / len(drawn)
    assert shares == pytest.approx([0.1, 0.2, 0.7], abs=0.01)


def test_draws_follow_the_seed() -> None:
    logits = np.random.default_rng(2).normal(size=(50, 100)).astype(np.float32)
    first, again, other = (
        sampling.draw(logits, np.random.default_rng(seed)).tolist() for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_impossible_tokens_are_never_drawn() -> None:
    logits = np.full((1000, 5), -np.inf, np.float32)
    logits[:, 3] = 0
    assert set(sampling.draw(logits, np.random.default_rng(5))) == {3}
