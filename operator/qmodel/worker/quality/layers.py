"""How far each stored weight is from the source's, and the picture of one of them.

One block of rows of one weight is held at a time, of both models.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from math import prod, sqrt
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from qmodel.worker.details import MAX_BINS, ExampleLayer, Histogram, LayerError
from qmodel.worker.parameters import Parameter
from qmodel.worker.progress import ProgressPart
from qmodel.worker.quality import levels
from qmodel.worker.quality.pair import Pair, Weights

MAX_WEIGHTS = 2_000_000_000
"""Elements that are compared: a few minutes on two cores. Of a larger model, an even sample."""
MAX_LAYERS = 600
"""Layers that the details have room for."""
SIGMAS = 4.5
"""Half the width of the histogram, in standard deviations."""
_SAMPLE = 1 << 20
"""Weights that levels are fitted to, from the first rows."""


class Named(Protocol):
    """A weight, or what was found of one."""

    @property
    def name(self) -> str:
        """As the artifact names it."""


_Weight = TypeVar("_Weight", bound=Named)


def chosen(quantized: Sequence[Parameter]) -> list[Parameter]:
    """Return the weights to compare: all, or an even sample so that time and size stay bounded.

    Each kind is there at least once, if only that makes more elements than are wanted.
    """
    total = sum(_elements(parameter) for parameter in quantized)
    step = max(1, -(-total // MAX_WEIGHTS), -(-len(quantized) // MAX_LAYERS))
    found = sampled(quantized, step)
    while step < len(quantized) and _are_many(found):
        step += 1 + step // 8  # in few tries, of models with thousands of experts too
        found = sampled(quantized, step)
    return found[:MAX_LAYERS]


def _are_many(found: Sequence[Parameter]) -> bool:
    return len(found) > MAX_LAYERS or sum(map(_elements, found)) > MAX_WEIGHTS


def sampled(weights: Sequence[_Weight], step: int) -> list[_Weight]:
    """Return every n-th weight of each kind, in their order.

    Every n-th of all would be the same few kinds, wherever n shares a factor with the number of
    weights in a layer: of seven, every fourteenth is one.
    """
    seen: Counter[str] = Counter()
    found = []
    for weight in weights:
        kind = _kind(weight.name)
        if seen[kind] % step == 0:
            found.append(weight)
        seen[kind] += 1
    return found


def _kind(name: str) -> str:
    """Return a name without the numbers of layers and experts."""
    return ".".join(part for part in name.split(".") if not part.isdigit())


def _elements(parameter: Parameter) -> int:
    return prod(parameter.shape)


def example(quantized: Sequence[Parameter]) -> Parameter | None:
    """Return the weight to draw: the middle layer's projection out of its feed-forward part."""
    down = [p for p in quantized if "down_proj" in p.name or "ffn_down" in p.name]
    found = down or list(quantized)
    return found[len(found) // 2] if found else None


def errors(pair: Pair, parameters: Sequence[Parameter], progress: ProgressPart) -> list[LayerError]:
    """Return the error of each weight that both models hold under its name.

    A library may fuse weights as it loads them, such as those of experts: they are left out.
    """
    found = []
    for number, parameter in enumerate(parameters):
        try:
            error = relative_error(pair, parameter.name)
        except KeyError:
            continue
        found.append(
            LayerError(
                name=parameter.name,
                shape=parameter.shape,
                type=pair.storage(parameter).type,
                bits=round(8 * parameter.bytes / _elements(parameter), 3),
                bytes=parameter.bytes,
                relative_error=float(f"{error:.4g}"),
            )
        )
        progress.at((number + 1) / len(parameters), f"{number + 1} weights compared")
    return found


def relative_error(pair: Pair, name: str) -> float:
    """Return |W - Q| / |W| in the Frobenius norm."""
    difference = norm = 0.0
    blocks = zip(pair.base_weights.blocks(name), pair.quantized_weights.blocks(name), strict=True)
    for base, quantized in blocks:
        difference += _square_sum(base - quantized)
        norm += _square_sum(base)
    return sqrt(difference / norm) if norm else 0.0


def example_layer(pair: Pair, parameter: Parameter) -> ExampleLayer:
    """Return the distribution of one weight, and the values that its groups take.

    Raises
    ------
    KeyError
        If a loaded model has no weight of this name.
    """
    name, storage = parameter.name, pair.storage(parameter)
    sample = _sample(pair.base_weights, name)
    magnitude = float(np.median(levels.largest(sample, levels.COMPARED_GROUP)))
    stored = _sample(pair.quantized_weights, name)
    drawn = {
        "artifact": levels.typical(stored, storage.group_size),
        "NF4": levels.nf4(magnitude),
        "INT4": levels.int4(magnitude),
        "k-means": levels.k_means(sample),
    }
    width = sample.shape[1]
    return ExampleLayer(
        name=name,
        type=storage.type,
        histogram=_histogram(pair.base_weights, name, float(sample.std())),
        levels={kind: _rounded(values) for kind, values in drawn.items()},
        group_size=storage.group_size if storage.group_size > 0 else width,
    )


def _histogram(weights: Weights, name: str, deviation: float) -> Histogram:
    """Return the distribution of all weights; those far out fall into the outermost bins."""
    edge = SIGMAS * deviation or 1.0
    edges = np.linspace(-edge, edge, MAX_BINS + 1)
    counts = np.zeros(MAX_BINS, np.int64)
    for block in weights.blocks(name):
        counts += np.histogram(np.clip(block, edges[0], edges[-1]), edges)[0]
    return Histogram(edges=_rounded(edges), counts=[int(count) for count in counts])


def _sample(weights: Weights, name: str) -> npt.NDArray[np.float32]:
    """Return the first rows of a weight."""
    block = next(islice(weights.blocks(name), 1))
    return block[: max(1, _SAMPLE // block.shape[1])]


def _square_sum(values: npt.NDArray[np.float32]) -> float:
    flat = values.ravel()
    return float(np.dot(flat, flat))


def _rounded(values: Sequence[float] | npt.NDArray[np.floating]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
