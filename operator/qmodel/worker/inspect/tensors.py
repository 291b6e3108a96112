"""What a header tells of one tensor, in either format."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

MAX_TENSORS = 400_000
"""Of one model; the largest mixtures of experts, quantized, have 220,000."""
MAX_DIMENSIONS = 8


@dataclass(frozen=True, slots=True)
class Tensor:
    """Name, type and shape."""

    name: str
    type: str
    shape: tuple[int, ...]
    """Outermost dimension first, in both formats."""
    bytes: int

    @property
    def elements(self) -> int:
        """Number of weights."""
        return prod(self.shape)


def total_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of all tensors."""
    return sum(tensor.bytes for tensor in tensors)


def total_elements(tensors: Iterable[Tensor]) -> int:
    """Return the number of weights of all tensors."""
    return sum(tensor.elements for tensor in tensors)
