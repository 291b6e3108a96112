"""What a file beside the weights must be by its name: JSON, a sentencepiece model, or text."""

import re
from pathlib import PurePosixPath

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_PROSE = ("LICENSE", "NOTICE", "README")
"""Read by people only: pasted from PDF or a terminal, or older than UTF-8."""
_TOKEN_OF_TIKTOKEN = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d{1,8}(?:\r?\n|\Z)")
_CHARACTER_BYTES = 4
"""Of the longest character in UTF-8, which the end of a part may cut."""

_PIECES = b"\x0a"
"""The first field of sentencepiece's ModelProto; protobuf writes fields in order."""
_FIELDS = range(1, 6)
"""Of ModelProto: pieces, trainer, normalizer, test data, denormalizer."""
_EXTENSIONS = 200
_TEXT_FIELD = 2
"""Wire type of texts and inner messages, as all fields of ModelProto are."""
_MAX_VARINT_BYTES = 5


def form_problem(path: str, content: bytes, size: int) -> str | None:
    """Return why a file is not what its name says, if that can be told.

    Parameters
    ----------
    path
        Its name.
    content
        All of it, or its begin.
    size
        Bytes of the whole file.
    """
    name = PurePosixPath(path).name
    if ".model" in name:
        is_text = _TOKEN_OF_TIKTOKEN.match(content)
        return _text_problem(content, size) if is_text else _sentencepiece_problem(content, size)
    if name.startswith(_PROSE):
        return "binary data where text is expected" if b"\0" in content else None
    if _CONTROL.search(content):
        return "binary data where text is expected"
    if name.endswith(".json") and content.lstrip()[:1] not in (b"{", b"["):
        return "something else where JSON is expected"
    return _text_problem(content, size)


def _text_problem(content: bytes, size: int) -> str | None:
    """Return why bytes are no text, if they are none."""
    if _CONTROL.search(content):
        return "binary data where text is expected"
    try:
        content.decode()
    except UnicodeDecodeError as error:
        cut = len(content) < size and error.start > len(content) - _CHARACTER_BYTES
        return None if cut else f"no UTF-8 text: {error.reason} at byte {error.start}"
    return None


def _sentencepiece_problem(content: bytes, size: int) -> str | None:
    """Return why bytes are no sentencepiece model: its top-level fields, to the end."""
    if not content.startswith(_PIECES):
        return "neither a sentencepiece model nor a list of tokens"
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        length, position = _varint(content, position)
        if position > len(content) and len(content) < size:
            return None
        known = tag >> 3 in _FIELDS or tag >> 3 >= _EXTENSIONS
        if not known or tag & 7 != _TEXT_FIELD or not 0 <= length <= size - position:
            return f"no sentencepiece model: what it holds before byte {position} is no field"
        position += length
    return None


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Return a number of variable length and where it ends; beyond the bytes if it is cut."""
    value = 0
    for count in range(_MAX_VARINT_BYTES):
        if position + count >= len(content):
            return -1, len(content) + 1
        byte = content[position + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:  # noqa: PLR2004  the bit that says that more follows
            return value, position + count + 1
    return -1, position + _MAX_VARINT_BYTES
