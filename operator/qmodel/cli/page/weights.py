"""Which error quantizing made in each layer, as series over the depth of the model."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from qmodel.worker.details import LayerError

_DEPTH = re.compile(r"(?:^|\.)(\d+)\.")
_SUFFIXES = (".weight", ".weight_packed", ".qweight")


@dataclass(frozen=True, slots=True)
class Point:
    """Mean error of one kind of weight at one depth."""

    kind: str
    depth: int
    error: float


def points(layers: Iterable[LayerError]) -> list[Point]:
    """Return the quantized weights by kind and depth; experts of a layer are one point."""
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    for layer in layers:
        depth = _DEPTH.search(layer.name)
        if depth is not None and layer.relative_error > 0:
            found[kind(layer.name), int(depth[1])].append(layer.relative_error)
    return [
        Point(name, depth, sum(errors) / len(errors))
        for (name, depth), errors in sorted(found.items())
    ]


def kind(name: str) -> str:
    """Return what a tensor is, whichever layer it belongs to: `q_proj`, `experts.up_proj`."""
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    *before, last = name.split(".")
    return f"experts.{last}" if "experts" in before else last


def pattern(name: str) -> str:
    """Return a tensor's name with every number as a star, which is what tensors of a kind share."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))
