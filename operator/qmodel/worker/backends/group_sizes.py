"""Whether the groups of a recipe divide the rows that they are to be cut from.

Inspection refuses what cannot work before anything is fetched; the worker checks what it has.
"""

import re
from collections.abc import Collection, Mapping

from qmodel.api.methods import GROUP_SIZES
from qmodel.worker.errors import UnsupportedModel
from qmodel.worker.task import Recipe


def check(recipe: Recipe, widths: Mapping[str, int], others: Collection[str] = ()) -> None:
    """Check the linear layers of a model.

    Parameters
    ----------
    recipe
        What was asked.
    widths
        Input width of each linear layer, by its name.
    others
        Further modules with weights, none of which is quantized: they may be named, as the routers
        of a mixture of experts are in many a published recipe.

    Raises
    ------
    UnsupportedModel
        If a name to ignore is no layer's, nothing is left to quantize, or a row cannot be cut into
        groups; naming a size that would work.
    """
    _check_names(recipe.ignore, {*widths, *others})
    chosen = {name: widths[name] for name in widths if not is_ignored(name, recipe.ignore)}
    if not chosen:
        message = "spec.quantization.ignore leaves no linear layer to quantize"
        raise UnsupportedModel(message)
    size = recipe.group_size
    wrong = {name: width for name, width in chosen.items() if size > 0 and width % size}
    if wrong:
        name, width = next(iter(wrong.items()))
        message = f"{name} is {width} wide, which is not divisible by {size}: {_advice(chosen)}"
        raise UnsupportedModel(message)


def is_ignored(name: str, ignore: list[str]) -> bool:
    """Whether a layer is named by one of the patterns, or `re:` and a regular expression."""
    return any(
        re.match(pattern.removeprefix("re:"), name)
        if pattern.startswith("re:")
        else pattern == name
        for pattern in ignore
    )


def _check_names(ignore: list[str], names: set[str]) -> None:
    """Refuse a misspelt name, which would quantize what was to be kept.

    So would the name of a whole block, which the libraries do not take for all that is in it.
    """
    known = names | {"lm_head"}  # the default, which not every model has
    for pattern in ignore:
        if not any(is_ignored(name, [pattern]) for name in known):
            message = f"spec.quantization.ignore names {pattern}, but the model has no such layer"
            raise UnsupportedModel(message)


def _advice(widths: Mapping[str, int]) -> str:
    """Return which group sizes would work."""
    fitting = [size for size in GROUP_SIZES if not any(width % size for width in widths.values())]
    sizes = " or ".join(map(str, [*fitting, -1]))
    return f"use the group size {sizes}, or name the layer in spec.quantization.ignore"
