"""Credentials of a source: files that the kubelet puts into the pod, never environment."""

import re
from pathlib import Path

from qmodel.worker.errors import AccessDenied, SecretMissing

_LONGEST_SECRET = 8192
_MAX_FILE_BYTES = 1 << 20


def secret_word(path: Path, field: str) -> str:
    """Return a secret of one word, such as a token or a key.

    Parameters
    ----------
    path
        The mounted file.
    field
        Names the key of a Secret, for messages.

    Raises
    ------
    SecretMissing
        If it is not there.
    AccessDenied
        If it is empty, or holds characters that no secret of this kind has. The message never
        shows it.
    """
    word = secret_text(path, field).strip()
    if len(word) > _LONGEST_SECRET or not re.fullmatch(r"[!-~]+", word):
        message = (
            f"{field} holds no usable secret: it is empty or has blanks or other characters that"
            " no token or key has"
        )
        raise AccessDenied(message)
    return word


def secret_text(path: Path, field: str) -> str:
    """Return a mounted secret; raises SecretMissing if it is not there."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES).decode(errors="replace")
    except FileNotFoundError as error:  # the pod starts without it: its Secret is optional
        message = f"{field} names a Secret or key that is not there"
        raise SecretMissing(message) from error
