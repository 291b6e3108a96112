"""Engines that make artifacts; what they share is here, their libraries in their own modules."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.task import Recipe

# Threads that spin while they wait take the time slices of those they wait for wherever cores
# are shared: on two busy cores a batch took four times as long. Read when OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@dataclass(frozen=True)
class CalibrationSet:
    """What a method observes the model with."""

    kind: Literal["SelfDrawn", "User"]
    sequences: tuple[tuple[int, ...], ...]
    """Token ids of each sample, none longer than asked."""
    digest: str
    """sha256 of the text, in hexadecimal."""


class QuantizationBackend(Protocol):
    """A library that quantizes: one module, one class of the backend's name."""

    takes_samples: bool
    """Whether it observes samples in tokens, where the recipe calibrates; else it is given none."""
    makes_folder: bool
    """Whether it writes shards and a config, beside what the source has; else one GGUF file."""

    def quantize(
        self,
        recipe: Recipe,
        source: Path,
        out: Path,
        calibration: CalibrationSet | None,
        threads: int,
        progress: Progress | ProgressPart,
    ) -> None:
        """Write the quantized weights and their config.json into the folder `out`.

        The source's tokenizer, chat template and generation config are copied by the caller.

        Raises
        ------
        StepError
            If the recipe does not fit the model, or the library fails.
        """

    def versions(self) -> dict[str, JsonValue]:
        """Return what the manifest should tell about the libraries."""


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

    def answers(self, prompts: Sequence[str], max_tokens: int) -> list[str] | None:
        """Return the likeliest answers in the model's own chat template; None if it has none."""
