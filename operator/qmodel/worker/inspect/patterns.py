"""Patterns of a model that its engines try: only those pass whose time is bounded.

Python's `re` tries every way in which a pattern could match. So what makes ways is counted:
repeats, whose ways are multiplied by the length of the text, and branches, whose ways are
multiplied by each other. A repeated group is refused, since its ways double with every letter.
"""

import re

MAX_CHARACTERS = 512
MAX_REPEATS = 3
"""Of anything but digits, optional parts among them: the time grows with this power of a name."""
_MAX_DIGITS = 6
"""Repeats of digits, of which a name has few."""
_MAX_WAYS = 1000
"""Product of the branches of all groups."""
_PREFIX = re.compile(r"(?:re|\+|-):")
_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?[:!=]|\(\?|[*+?]|\{\d*,?\d*\}|.", re.DOTALL)
"""An escaped character, a class, the begin of a group, a repeat, or one character."""
_DIGITS = ("\\d", "[0-9]", "[\\d]")
_GROUPS = ("(", "(?:", "(?!", "(?=")


def is_marked(text: str) -> bool:
    """Whether a text says of itself that it is a pattern, as compressed-tensors and GPTQ do."""
    return bool(_PREFIX.match(text))


def ends(pattern: object) -> bool:
    """Whether a pattern over names of modules is short, and matches in bounded time.

    Parameters
    ----------
    pattern
        A regular expression, marked or not, a name with `*`, or a plain name.
    """
    if not isinstance(pattern, str) or len(pattern) > MAX_CHARACTERS:
        return False
    parts = _PART.findall(_PREFIX.sub("", pattern, count=1))
    return _repeats_end(parts) and _ways(parts) <= _MAX_WAYS


def _repeats_end(parts: list[str]) -> bool:
    """Whether there are few repeats, none of them of a group, and nothing that refers back."""
    repeats = digits = 0
    before = ""
    for part in parts:
        if (part.startswith("(?") and part not in _GROUPS) or re.match(r"\\[1-9]", part):
            return False
        if part[0] in "*+?{" and before[:1] not in ("*", "+", "?", "{"):
            if before == ")" and part != "?":
                return False
            digits += before in _DIGITS
            repeats += before not in _DIGITS
        before = part
    return repeats <= MAX_REPEATS and digits <= _MAX_DIGITS


def _ways(parts: list[str]) -> int:
    """Return the product of the branches of all groups."""
    ways, open_groups = 1, [1]
    for part in parts:
        if part in _GROUPS:
            open_groups.append(1)
        elif part == "|":
            open_groups[-1] += 1
        elif part == ")" and len(open_groups) > 1:
            ways *= open_groups.pop()
    return ways * open_groups[0]
