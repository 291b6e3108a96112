"""The large tables of a tokenizer.json: read through, never built.

A vocabulary of 262,144 tokens and its merges make 38 MB of JSON and 270 MB of Python objects. So
each entry is matched as it stands and forgotten, and what is left is a small document.
"""

import re

from qmodel.worker.errors import SourceInvalid

MAX_DEPTH = 64
_STRING = rb'"(?:[^"\\\x00-\x1f]|\\.)*+"'
_NEXT = re.compile(rb'[^"{}\[\]]*+(' + _STRING + rb"|[{}\[\]])")
_COLON = re.compile(rb"\s*:\s*")
_NUMBERED = re.compile(rb"\s*" + _STRING + rb"\s*:\s*(\d{1,10})\s*([,}])")
"""An entry of a vocabulary that gives each token its number."""
_LISTED = re.compile(
    rb"\s*(?:" + _STRING + rb"|\[\s*" + _STRING + rb"\s*,\s*(?:" + _STRING
    + rb"|-?\d[\d.eE+-]{0,30})\s*\])\s*()([,\]])"
)  # fmt: skip
"""An entry of the merges, or of a vocabulary that gives each token its score."""
_EMPTY = re.compile(rb"\s*[}\]]")
_TABLES = (b'"vocab"', b'"merges"')


def without_tables(content: bytes, where: str) -> tuple[bytes, int]:
    """Return the document with empty tables, and the largest number of a token; -1: it has none.

    Raises
    ------
    SourceInvalid
        If it is nested absurdly, or an entry of a table is none.
    """
    kept: list[bytes] = []
    begin = position = depth = 0
    largest, in_model = -1, False
    while match := _NEXT.match(content, position):
        token, position = match[1], match.end()
        if token in (b"{", b"["):
            depth += 1
            if depth > MAX_DEPTH:
                message = f"{where} is not valid JSON of a tokenizer: nested more than {MAX_DEPTH}"
                raise SourceInvalid(message)
        elif token in (b"}", b"]"):
            depth -= 1
        elif colon := _COLON.match(content, position):
            position = colon.end()
            in_model = token == b'"model"' if depth == 1 else in_model
            if depth == 2 and in_model and token in _TABLES and _opens(content, position):  # noqa: PLR2004  within model
                kept.append(content[begin : position + 1])
                begin, number = _end(content, position, where)
                largest, position = max(largest, number), begin + 1
    return b"".join([*kept, content[begin:]]), largest


def _opens(content: bytes, position: int) -> bool:
    return content[position : position + 1] in (b"{", b"[")


def _end(content: bytes, position: int, where: str) -> tuple[int, int]:
    """Return where a table ends, and its largest number."""
    entry = _NUMBERED if content[position : position + 1] == b"{" else _LISTED
    position += 1
    if empty := _EMPTY.match(content, position):
        return empty.end() - 1, -1
    largest = -1
    while match := entry.match(content, position):
        position = match.end()
        largest = max(largest, int(match[1] or -1))
        if match[2] != b",":
            return position - 1, largest
    message = f"{where} is not valid JSON of a tokenizer: no token or merge at byte {position}"
    raise SourceInvalid(message)
