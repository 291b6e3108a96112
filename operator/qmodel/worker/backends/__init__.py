"""Engines that make artifacts; what they share is here, their libraries in their own modules."""

import os
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

# Threads that spin while they wait take the time slices of those they wait for wherever cores
# are shared: on two busy cores a batch took four times as long. Read when OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class LanguageModel(Protocol):
    """A loaded model that gives the logits of every position."""

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of a text, with the token that begins a sequence if it has one."""

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Return the text of token ids, control tokens left out."""

    def logits(self, tokens: Sequence[int]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield (positions, vocabulary) blocks of one sequence; each is valid until the next."""

    def draw(
        self, openers: Sequence[str], length: int, random: np.random.Generator
    ) -> list[list[int]]:
        """Return one sequence for each opener, continued at temperature 1 up to `length`."""
