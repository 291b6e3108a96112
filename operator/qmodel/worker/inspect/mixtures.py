"""Bits and groups of compressed-tensors' checkpoints whose modules have different ones.

Which group of the configuration a module belongs to is told by patterns over names. Here it is told
by the tensors instead: thousands of patterns on tens of thousands of names take long.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qmodel.worker.errors import SourceInvalid

IN_WORDS = "pack-quantized"
"""The format that packs weights into 32-bit words; the others store numbers of 8 bits."""

_MOST = 32
"""Each is held against each weight."""


@dataclass(frozen=True)
class Grid:
    """How weights of one group of the configuration are rounded."""

    bits: int
    group_size: int | None
    """Weights of a row that share a scale; None: all of them."""

    def __str__(self) -> str:
        """Return it as people say it."""
        return f"{self.bits} bits" + (f" in groups of {self.group_size}" if self.group_size else "")


def grids(recipe: Mapping[str, Any], where: str) -> list[Grid]:
    """Return the grids of weights in words, each once.

    Parameters
    ----------
    recipe
        `quantization_config`, which was recognised: bits and sizes are numbers within bounds.
    where
        It stands.

    Raises
    ------
    SourceInvalid
        If there are absurdly many.
    """
    found: dict[Grid, None] = {}
    for group in (recipe.get("config_groups") or {}).values():
        weights = group.get("weights") or {}
        if weights and group.get("format") in (None, IN_WORDS):
            size = weights.get("group_size")
            found[Grid(weights["num_bits"], None if size in (None, -1) else size)] = None
    if len(found) > _MOST:
        message = f"{where} rounds weights in {len(found)} ways: at most {_MOST} are read"
        raise SourceInvalid(message)
    return list(found)
