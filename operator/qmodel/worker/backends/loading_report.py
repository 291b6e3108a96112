"""Whether a loaded model is the one that the files hold, by what transformers says of loading it.

It starts a weight that it does not find at random, drops one that it has no place for, and goes on
with a warning. Experts are where that happens: it fuses those of a layer into one tensor, by
names that what a library saved need not have.
"""

import re
from collections.abc import Collection, Iterable

from qmodel.worker.errors import UnsupportedModel

_SHOWN = 3
_HARMLESS = re.compile(
    r"(?:.*\.)?(?:rotary_emb\.inv_freq|[kqv]_scale"
    r"|(?:attn|attention|self_attn|self_attention)\.(?:masked_)?bias)"
)
"""Computed anew (rotary frequencies, causal masks), or of a cache that is not quantized here."""
_IN_LAYER = re.compile(r"(.*?\.\d+)\.")


def check(missing: Iterable[str], unexpected: Iterable[str], modules: Collection[str]) -> None:
    """Check that every weight of the model was found, and every one of its modules has a place.

    Modules that transformers leaves out, such as layers that predict further tokens and parts that
    see, are no part of the model that is judged.

    Parameters
    ----------
    missing
        Names of weights that no file holds, tied ones left out.
    unexpected
        Names in the files that the model has no weight for.
    modules
        Names of the model's modules.

    Raises
    ------
    UnsupportedModel
        Naming the first few.
    """
    lost = sorted(missing)
    without_place = sorted(name for name in unexpected if _belongs(name, modules))
    told = [
        f"{what} {_first(names)}"
        for what, names in (("did not find", lost), ("has no place for", without_place))
        if names
    ]
    if told:
        message = (
            f"transformers {' and '.join(told)}: what it loaded is not the model of these files,"
            " so nothing is judged by it. Use method GGUF, or another method"
        )
        raise UnsupportedModel(message)


def _belongs(name: str, modules: Collection[str]) -> bool:
    """Whether a tensor is of a layer or a module that the model has."""
    if _HARMLESS.fullmatch(name):
        return False
    layer = _IN_LAYER.match(name)
    return name.rpartition(".")[0] in modules or (layer is not None and layer[1] in modules)


def _first(names: list[str]) -> str:
    """Return a few names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(name[:200] for name in names[:_SHOWN]) + more
