"""A user's own text: plain text, passages separated by blank lines."""

import re
from pathlib import Path

from qmodel.worker.errors import TextInvalid

MAX_BYTES = 4 << 20
"""More than is ever used is not read."""


def read(path: Path) -> str:
    """Return the text.

    Raises
    ------
    TextInvalid
        If it is not there, or not UTF-8, naming the byte.
    """
    if not path.is_file():  # the pod starts without it: its ConfigMap is optional
        message = f"the {path.parent.name} text that spec names is not there, or is no file"
        raise TextInvalid(message)
    with path.open("rb") as file:
        data = file.read(MAX_BYTES)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if len(data) == MAX_BYTES and error.start > MAX_BYTES - 4:
            return data[: error.start].decode()  # cut within a character
        message = f"the text is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}"
        raise TextInvalid(message) from error


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


def passages(text: str) -> list[str]:
    """Return the passages of a text, which blank lines separate."""
    return [passage for passage in re.split(r"\n\s*\n", text) if passage.strip()]
