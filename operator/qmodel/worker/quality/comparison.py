"""Runs two models over the same tokens, side by side."""

from collections.abc import Sequence

import numpy as np

from qmodel.worker.backends import LanguageModel
from qmodel.worker.errors import EngineFailed
from qmodel.worker.progress import ProgressPart
from qmodel.worker.quality.measures import PassageSums


def compare(
    base: LanguageModel,
    quantized: LanguageModel,
    tokens: Sequence[Sequence[int]],
    progress: ProgressPart,
) -> list[PassageSums]:
    """Return the sums of each sequence; the logits of one block are all that is held."""
    total, done = sum(map(len, tokens)), 0
    sums = []
    for sequence in tokens:
        sums.append(_compare_one(base, quantized, sequence))
        done += len(sequence)
        progress.at(done / total, f"{done} of {total} tokens compared")
    return sums


def _compare_one(
    base: LanguageModel, quantized: LanguageModel, sequence: Sequence[int]
) -> PassageSums:
    """Return the sums over all positions but the last, whose following token is unknown."""
    sums, targets = PassageSums(), np.asarray(sequence[1:])
    blocks = zip(base.logits(sequence), quantized.logits(sequence), strict=True)
    for base_logits, logits in blocks:
        following = targets[: len(logits)]
        targets = targets[len(logits) :]
        try:
            sums.add(base_logits[: len(following)], logits[: len(following)], following)
        except ValueError as error:
            message = f"the models cannot be compared: {error}"
            raise EngineFailed(message) from error
    return sums
