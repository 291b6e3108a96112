"""Which modules of a model read text, where it can also see or hear.

vLLM is asked for the language model alone, evaluation reads text, and calibration shows neither
pictures nor sounds: what only these pass through stays as it is.
"""

import re
from collections.abc import Iterable

_ANYWHERE = "re:.*"


def beside(names: Iterable[str], decoder: str, head: str | None) -> list[str]:
    """Return the modules that are neither in the language model nor its output layer.

    Parameters
    ----------
    names
        Of modules of the whole model.
    decoder
        Name of the language model among them.
    head
        Name of the output layer, if it has one of its own.
    """
    return [name for name in names if name != head and not f"{name}.".startswith(f"{decoder}.")]


def patterns(beside: Iterable[str], decoder: str) -> list[str]:
    """Return patterns of what is beside the language model, whatever the blocks around are called.

    A checkpoint's names need not be those of the modules, and what loads it goes by either.
    """
    start = len(decoder.rpartition(".")[0])
    parts = (name[start:].lstrip(".").partition(".")[0] for name in beside)
    return [f"re:(.*\\.)?{re.escape(part)}\\..*" for part in dict.fromkeys(parts)]


def within(pattern: str, decoder: str) -> str:
    """Return a pattern of llm-compressor's that finds modules of the language model only.

    Some of its patterns find layers of the vision tower too, which then do not come in the sets
    that AWQ looks for. A pattern that says where its modules are stays.
    """
    if not pattern.startswith(_ANYWHERE):
        return pattern
    return f"re:{re.escape(decoder)}\\..*{pattern.removeprefix(_ANYWHERE)}"
