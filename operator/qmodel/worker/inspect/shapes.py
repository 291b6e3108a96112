"""Shapes of linear weights that stated sizes make, and how far a tensor may be from them.

Where all layers are alike in the way of Llama, a size that a tensor contradicts is a lie. Other
models have layers that differ, gates in their queries or fused parts: of those only a size that
is far beyond its tensors is refused, since memory is reckoned from it.
"""

from collections.abc import Iterable, Sequence
from math import prod

from qmodel.worker.inspect.tensors import Tensor

MOST_TIMES = 64
"""What a stated size may be of its largest tensor where layers differ, as heads and groups do."""

Expected = Sequence[tuple[int, int]]


def contradicting(tensors: Iterable[Tensor], expected: Expected, *, exact: bool) -> Tensor | None:
    """Return a tensor that contradicts what was stated.

    Parameters
    ----------
    tensors
        All that the statement is about; some formats store them flat.
    expected
        Shapes that would fit it.
    exact
        Whether each has to fit; else the largest must only be no absurdly small part of it.
    """
    found = list(tensors)
    if not found:
        return None
    if exact:
        sizes = {prod(shape) for shape in expected}
        return next((t for t in found if not _fits(t, expected, sizes)), None)
    largest = max(found, key=lambda tensor: tensor.elements)
    smallest = min(prod(shape) for shape in expected)
    return largest if smallest > MOST_TIMES * largest.elements else None


def _fits(tensor: Tensor, expected: Expected, sizes: set[int]) -> bool:
    """Whether a tensor has one of the shapes, or is a flat one of as many weights."""
    return tensor.shape in expected or (len(tensor.shape) == 1 and tensor.elements in sizes)
