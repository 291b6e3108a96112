"""A user's own text: JSON lines, or plain text whose passages blank lines separate."""

import re
from pathlib import Path

from qmodel.worker.errors import TextInvalid, TextMissing

MAX_BYTES = 4 << 20
"""More than is ever used is not read."""


def read(path: Path) -> str:
    """Return the text.

    Raises
    ------
    TextMissing
        If it is not there.
    TextInvalid
        If it is no file, or not UTF-8, naming the byte.
    """
    if not path.exists():  # the pod starts without it: its ConfigMap is optional
        message = f"the {path.parent.name} text that spec names is not there"
        raise TextMissing(message)
    if not path.is_file():
        message = f"the {path.parent.name} text that spec names is no file"
        raise TextInvalid(message)
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        data = _whole_lines(data[:MAX_BYTES])
    try:
        return data.decode("utf-8-sig")  # editors on Windows begin with a mark of the encoding
    except UnicodeDecodeError as error:
        message = f"the text is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}"
        raise TextInvalid(message) from error


def _whole_lines(data: bytes) -> bytes:
    """Return what was cut up to its last whole line, or the last whole character of one line."""
    end = data.rfind(b"\n") + 1
    return data[:end] if end else data.decode(errors="ignore").encode()


def require_tokens(found: int, needed: int, use: str) -> None:
    """Check that a text is long enough.

    Raises
    ------
    TextInvalid
        Naming what was found and what is needed.
    """
    if found < needed:
        message = f"the {use} text has {found} tokens, at least {needed} are needed"
        raise TextInvalid(message)


def is_json_lines(text: str) -> bool:
    """Whether half the lines begin as JSON objects: a bad one must not make a text of syntax."""
    lines = [line.lstrip() for line in text.split("\n") if line.strip()]
    return 2 * sum(line.startswith("{") for line in lines) >= len(lines) > 0


def passages(text: str) -> list[str]:
    """Return the passages of a text, which blank lines separate."""
    return [passage for passage in re.split(r"\n\s*\n", text) if passage.strip()]
