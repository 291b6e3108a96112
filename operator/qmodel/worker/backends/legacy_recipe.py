"""A recipe checked for AutoAWQ and AutoGPTQ, and the samples in the form that they take.

No library is needed for this.
"""

from collections.abc import Sequence

from qmodel.worker.backends.tokens import windows
from qmodel.worker.errors import TextInvalid, UnsupportedModel
from qmodel.worker.legacy_limits import refusal
from qmodel.worker.task import Recipe


def check(recipe: Recipe) -> None:
    """Refuse what the recipe's backend cannot do.

    Raises
    ------
    UnsupportedModel
        Naming what can.
    """
    why = refusal(recipe, None)
    if why is not None:
        raise UnsupportedModel(why)


def rows(sequences: Sequence[Sequence[int]], length: int) -> list[list[int]]:
    """Return samples as AutoAWQ joins them: rows of one length, end to end.

    Joined here, nothing is left for the library to drop without a word: it skips samples that are
    longer than asked and what does not fill a last row.

    Parameters
    ----------
    sequences
        Token ids.
    length
        Tokens of a row; fewer if there are not so many.

    Raises
    ------
    TextInvalid
        If there is no token.
    """
    count = sum(map(len, sequences))
    if not count:
        message = "the calibration samples hold no token"
        raise TextInvalid(message)
    return windows(sequences, min(length, count))
