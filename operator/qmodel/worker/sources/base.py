"""What inspect and fetch need of a source: a list of files, and bytes of them from an offset."""

import hashlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from qmodel.worker.errors import SourceInvalid

MAX_FILES = 20_000
"""A model has hundreds; more is something else."""
_MAX_PATH_CHARACTERS = 1024

Chunks = Generator[bytes, None, None]
"""Bytes of a file, in order; closing it hangs up."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a source."""

    path: str
    """Relative, with forward slashes."""
    bytes: int
    sha256: str | None = None
    """What the hub announces for a large file."""
    git_blob: str | None = None
    """What the hub announces for a small one: git's sha1."""


class Source(Protocol):
    """A hub repository at one commit, or a folder."""

    name: str
    """For messages."""
    files: Mapping[str, SourceFile]
    """By path."""
    wanted: str | None
    """The one GGUF file that was asked for."""
    hint: str
    """The field of spec that names the source."""

    def stream(self, path: str, offset: int, length: int | None = None) -> Chunks:
        """Yield a file's bytes from `offset`; all that follow, or `length` of them."""
        ...

    def identity(self, path: str) -> str:
        """Return what changes when the file's content does."""
        ...

    def revision(self, paths: Sequence[str]) -> str:
        """Return the immutable name of these files: a commit, or their digest."""
        ...


def read(source: Source, path: str, offset: int, length: int) -> bytes:
    """Return up to `length` bytes of a file from `offset`; fewer at its end.

    A server that ignores ranges sends the whole file: it is hung up on once enough came.
    """
    length = min(length, source.files[path].bytes - offset)
    if length <= 0:
        return b""
    content = bytearray()
    with closing(source.stream(path, offset, length)) as chunks:
        for chunk in chunks:
            content += chunk
            if len(content) >= length:
                break
    return bytes(content[:length])


def digest_of(source: Source, paths: Sequence[str]) -> str:
    """Return the sha256 over the paths, sizes and identities of these files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        line = f"{path}\0{source.files[path].bytes}\0{source.identity(path)}\n"
        digest.update(line.encode())
    return digest.hexdigest()


def checked_path(path: str) -> str:
    """Return a file's path if it stays below its root.

    Raises
    ------
    SourceInvalid
        If it is absolute, climbs, or is no path at all.
    """
    parts = PurePosixPath(path).parts
    plain = path.isprintable() and "\\" not in path and len(path) <= _MAX_PATH_CHARACTERS
    if not plain or not parts or parts[0] == "/" or ".." in parts:
        message = f"the file name {path[:200]!r} leaves the model's folder or is not a name"
        raise SourceInvalid(message)
    return path
