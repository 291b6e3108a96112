"""The two models of an evaluation, as an engine opens them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from qmodel.worker.backends import LanguageModel
from qmodel.worker.errors import EngineFailed
from qmodel.worker.parameters import Parameter
from qmodel.worker.quality.storage import Storage

Rows = npt.NDArray[np.float32]
BLOCK_ELEMENTS = 1 << 22
"""Weights widened to float32 at once."""


class Weights(Protocol):
    """What the stored weights of a model stand for."""

    def blocks(self, name: str) -> Iterator[Rows]:
        """Yield a weight's rows in order, `rows_at_once` of its width to a block.

        Raises
        ------
        KeyError
            If the loaded model has no weight of this name.
        """


@dataclass(frozen=True)
class Pair:
    """Both models, loaded."""

    base: LanguageModel
    quantized: LanguageModel
    base_weights: Weights
    quantized_weights: Weights
    storage: Callable[[Parameter], Storage]
    """How the artifact stores a weight."""


def rows_at_once(width: int) -> int:
    """Return how many rows of `width` weights make a block."""
    return max(1, BLOCK_ELEMENTS // max(width, 1))


def require_same_tokens(pair: Pair, texts: tuple[str, ...]) -> None:
    """Check that both models cut texts into the same tokens: else nothing can be compared.

    Raises
    ------
    EngineFailed
        Naming the text.
    """
    for text in texts:
        if pair.base.tokenize(text) != pair.quantized.tokenize(text):
            message = f"the artifact's tokenizer is not the source's: it cuts {text[:40]!r} other"
            raise EngineFailed(message)
