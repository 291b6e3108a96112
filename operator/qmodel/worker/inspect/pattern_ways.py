"""In how many ways a pattern over texts can match, as Oniguruma tries them.

Repeats with an upper bound and optional parts are ways as branches are: `a{0,9}` has ten. What
follows one another multiplies. Repeats without a bound are not counted here.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

Parts = Sequence[str]

MAX_WAYS = 1000
_REPEAT = re.compile(r"[*+?]|\{\d*,?\d*\}")
_COUNTS = re.compile(r"\{(\d*)(,?)(\d*)\}")
_MAX_DIGITS = 6
_MOST = 10
"""Repeats of anything that has two ways of its own, after which there are more than MAX_WAYS."""
_OPERATORS = frozenset(".^$()[]|*+?{}\\# \t\r\n")
"""Characters that may be more than themselves, those that mode x leaves out among them."""


def is_repeat(part: str) -> bool:
    """Whether a part says how often the one before it matches."""
    return bool(_REPEAT.fullmatch(part))


def is_manner(parts: Parts, index: int) -> bool:
    """Whether a repeat only says how the one before it is tried: `+?` lazily, `++` at once.

    After braces Oniguruma takes `+` for another repeat, and `{2}?` for an optional part.
    """
    if index == 0 or not is_repeat(parts[index - 1]) or is_manner(parts, index - 1):
        return False
    low, high = counts(parts[index - 1])
    if parts[index] == "?":
        return low != high
    return parts[index] == "+" and parts[index - 1] in ("*", "+", "?")


def counts(repeat: str) -> tuple[int, int | None]:
    """Return the fewest and the most times; None: without a bound."""
    if repeat in ("*", "+", "?"):
        return int(repeat == "+"), 1 if repeat == "?" else None
    found = _COUNTS.fullmatch(repeat)
    low, comma, high = found.groups() if found else ("", ",", "")
    if not comma and low:
        return _number(low), _number(low)
    if not high:
        return _number(low), None
    fewest, most = sorted((_number(low), _number(high)))
    return fewest, most


def ways(parts: Parts) -> int:
    """Return the product of what all parts can match in; where it is too many, not all of it."""
    found = [(0, 1)]  # of each open group: the ways of its ended branches, and of the one read
    begins: list[int] = []
    last = 1
    for index, part in enumerate(parts):
        ended, current = found[-1]
        if part.startswith("("):
            found.append((0, 1))
            begins.append(index)
            continue
        if part == "|":
            found[-1] = (ended + current, 1)
        elif part == ")" and begins:
            found.pop()
            last = 1 if _differ(parts[begins.pop() + 1 : index]) else ended + current
            found[-1] = (found[-1][0], found[-1][1] * last)
        elif not is_repeat(part):
            last = 1
        elif not is_manner(parts, index):
            repeated = _repeated(last, part)
            found[-1] = (ended, current // last * repeated)
            last = repeated
        if found[-1][1] > MAX_WAYS:
            return found[-1][1]
    return sum(found[0])


def _repeated(once: int, repeat: str) -> int:
    """Return the ways of what has some once, repeated."""
    low, high = counts(repeat)
    if high is None:
        return once
    if once == 1:
        return high - low + 1
    if high > _MOST:
        return MAX_WAYS + 1
    return sum(once**times for times in range(low, high + 1))


def _differ(inner: Parts) -> bool:
    """Whether branches are plain texts of which no one begins with another: one at most matches."""
    if any(part != "|" and (len(part) > 1 or part in _OPERATORS) for part in inner):
        return False
    texts = sorted("".join(inner).casefold().split("|"))
    return not any(after.startswith(before) for before, after in pairwise(texts))


def _number(digits: str) -> int:
    return int(digits or 0) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
