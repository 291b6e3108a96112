"""Which parameters were quantized and which stayed, those that differ only by number together."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qmodel.cli.page.weights import pattern
from qmodel.worker.parameters import Parameter

LISTED = 1500
"""Parameters that are listed one by one; the file beside the artifact has them all."""


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters of one kind."""

    name: str
    count: int
    dtype: str
    shape: str
    bits: str
    bytes: int


def groups(parameters: Iterable[Parameter]) -> list[Group]:
    """Return the parameters by kind, in the order of the file."""
    found: dict[tuple[str, ...], list[Parameter]] = defaultdict(list)
    for each in parameters:
        found[pattern(each.name), each.dtype, _shape(each), _bits(each)].append(each)
    return [
        Group(name, len(members), dtype, shape, bits, sum(member.bytes for member in members))
        for (name, dtype, shape, bits), members in found.items()
    ]


def listed(parameters: Sequence[Parameter]) -> list[Group]:
    """Return the first parameters one by one."""
    return [
        Group(each.name, 1, each.dtype, _shape(each), _bits(each), each.bytes)
        for each in parameters[:LISTED]
    ]


def _shape(parameter: Parameter) -> str:
    return " × ".join(str(width) for width in parameter.shape)  # noqa: RUF001  as people write it


def _bits(parameter: Parameter) -> str:
    return "kept" if parameter.bits is None else f"{parameter.bits} bits"
