"""Token ids in the forms that models and libraries take; no library is needed for this."""

from collections.abc import Iterable, Sequence
from itertools import chain


def as_set(value: int | list[int] | None) -> set[int]:
    """Return token ids that configs give as a number, a list or nothing."""
    if value is None:
        return set()
    return set(value) if isinstance(value, list) else {value}


def left_padded(sequences: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Return ids and mask (sequences, longest), padded so that all end at the last position."""
    longest = max(map(len, sequences), default=0)
    ids = [[0] * (longest - len(sequence)) + list(sequence) for sequence in sequences]
    mask = [[0] * (longest - len(s)) + [1] * len(s) for s in sequences]
    return ids, mask


def windows(sequences: Iterable[Sequence[int]], length: int) -> list[list[int]]:
    """Return sequences end to end in rows of one length; what does not fill a last one is left."""
    tokens = list(chain.from_iterable(sequences))
    return [tokens[start : start + length] for start in range(0, len(tokens) - length + 1, length)]
