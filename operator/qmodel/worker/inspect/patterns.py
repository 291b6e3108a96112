"""Patterns of a model that its engines try: only those pass whose time is bounded.

Python's `re`, and Oniguruma behind tokenizers, try every way in which a pattern could match. So
what makes ways is counted: repeats, whose ways are multiplied by the length of the text, and
branches, whose ways are multiplied by each other. A repeated group that can match one text in
several ways is refused, since its ways double with every letter; unless nothing follows that
could fail, since then the first way is taken. In texts, bounded repeats and optional parts count
as ways too (`pattern_ways`).
"""

import re

from qmodel.worker.inspect import pattern_ways
from qmodel.worker.inspect.pattern_ways import counts, is_manner, is_repeat

MAX_CHARACTERS = 512
MAX_REPEATS = 3
"""Of anything but digits, optional parts among them: the time grows with this power of a name."""
_MAX_DIGITS = 6
"""Repeats of digits, of which a name has few."""
_MAX_WAYS = 1000
"""Product of the branches of all groups."""
_PREFIX = re.compile(r"(?:re|\+|-):")
_PART = re.compile(
    r"\\[pP]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?:[a-zA-Z-]*:|[!=>]|<[!=])?)?"
    r"|[*+?]|\{\d*,?\d*\}|.",
    re.DOTALL,
)
"""An escaped character, a class, the begin of a group, a repeat, or one character."""
_MAX_TEXT_REPEATS = 4
"""Unbounded ones of a branch, in patterns over texts."""
_MAX_TEXT_DEPTH = 16
_REFERENCE = re.compile(r"\\[1-9kg]")
"""To what a group matched, or to a group, which may be the one that it stands in."""
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


def ends_on_text(pattern: str) -> bool:
    """Whether a pattern of a tokenizer matches in a time that does not double with each letter.

    Parameters
    ----------
    pattern
        As Oniguruma reads it.
    """
    parts = _PART.findall(pattern)
    return all(_branch_ends(branch, _MAX_TEXT_DEPTH) for branch in _branches(parts))


def _branch_ends(branch: list[str], depth: int) -> bool:
    """Whether a branch ends, after which nothing can fail."""
    end = len(branch)
    while end and is_repeat(branch[end - 1]):
        end -= 1
    last = branch[:end]
    begin = _begin_of_group(last)
    if begin is None:
        return _can_fail_and_ends(last)
    inner = (
        [_branch_ends(part, depth - 1) for part in _branches(last[begin + 1 : -1])]
        if depth
        else [False]
    )
    return _can_fail_and_ends(branch[:begin]) and all(inner)


def _can_fail_and_ends(parts: list[str]) -> bool:
    """Whether parts, after which something may fail, match in few ways, in any text."""
    repeats = 0
    for index, part in enumerate(parts):
        if _REFERENCE.match(part):
            return False
        if not is_repeat(part) or is_manner(parts, index):
            continue
        if index and is_repeat(parts[index - 1]) and _varies(parts[index - 1]):
            return False
        begin = _begin_of_group(parts[:index])
        if begin is not None and _is_ambiguous(parts[begin + 1 : index - 1], part):
            return False
        repeats += _is_unbounded(part)
    return repeats <= _MAX_TEXT_REPEATS and pattern_ways.ways(parts) <= pattern_ways.MAX_WAYS


def _is_ambiguous(inner: list[str], repeat: str) -> bool:
    """Whether what is repeated could match one text in several ways, which are not counted."""
    repeats = [part for part in inner if is_repeat(part)]
    if _is_unbounded(repeat):
        return "|" in inner or any(_varies(part) for part in repeats)
    return counts(repeat) > (1, 1) and any(_is_unbounded(part) for part in repeats)


def _is_unbounded(repeat: str) -> bool:
    return counts(repeat)[1] is None


def _varies(repeat: str) -> bool:
    low, high = counts(repeat)
    return low != high


def _begin_of_group(parts: list[str]) -> int | None:
    """Return where the group begins that these parts end with."""
    if not parts or parts[-1] != ")":
        return None
    depth = 0
    for index in range(len(parts) - 1, -1, -1):
        depth += (parts[index] == ")") - parts[index].startswith("(")
        if depth == 0:
            return index
    return None


def _branches(parts: list[str]) -> list[list[str]]:
    """Return the alternatives that stand side by side."""
    found: list[list[str]] = [[]]
    depth = 0
    for part in parts:
        depth += part.startswith("(") - (part == ")")
        if part == "|" and depth == 0:
            found.append([])
        else:
            found[-1].append(part)
    return found


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
