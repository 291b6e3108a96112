"""A folder, or one GGUF file, of a mounted claim."""

import hashlib
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from qmodel.worker.errors import SourceChanged, SourceInvalid, SourceNotFound
from qmodel.worker.sources.base import MAX_FILES, Chunks, SourceFile, checked_path, digest_of
from qmodel.worker.task import SOURCE_VOLUME, FolderSource

_CHUNK_BYTES = 4 << 20
_WHOLE_BYTES = 32 << 20
"""Files up to this size are identified by all of their content, larger ones by their start."""
_START_BYTES = 1 << 20


class Folder:
    """The regular files of a folder; those in folders below it are not part of a model.

    Parameters
    ----------
    task
        The path inside the container.

    Raises
    ------
    SourceNotFound
        If there is no such folder or GGUF file, or it cannot be read.
    SourceInvalid
        If it holds symbolic links that leave it, or names that are none.
    """

    hint = "spec.source.persistentVolumeClaim.path"

    def __init__(self, task: FolderSource) -> None:
        asked = Path(task.path)
        self.name = f"the claim's folder {_as_asked(asked)!r}"
        with self._readable():
            if not asked.exists():
                message = f"the claim has nothing at {_as_asked(asked)!r}: correct {self.hint}"
                raise SourceNotFound(message)
            self.wanted = asked.name if asked.is_file() else None
            self._root = (asked.parent if self.wanted else asked).resolve()
            self.files = self._listing()
        if self.wanted and not self.wanted.endswith(".gguf"):
            message = f"{_as_asked(asked)!r} is neither a folder nor a .gguf file"
            raise SourceNotFound(message)

    def stream(self, path: str, offset: int, length: int | None = None) -> Chunks:
        """Yield a file's bytes from `offset`."""
        left = self.files[path].bytes - offset if length is None else length
        with self._readable(), (self._root / path).open("rb") as file:
            file.seek(offset)
            while chunk := file.read(min(_CHUNK_BYTES, max(left, 0))):
                left -= len(chunk)
                yield chunk

    def identity(self, path: str) -> str:
        """Return the modification time, and the sha256 of the content or of its start."""
        size = self.files[path].bytes
        digest = hashlib.sha256()
        for chunk in self.stream(path, 0, size if size <= _WHOLE_BYTES else _START_BYTES):
            digest.update(chunk)
        with self._readable():
            return f"{(self._root / path).stat().st_mtime_ns}\0{digest.hexdigest()}"

    def revision(self, paths: Sequence[str]) -> str:
        """Return the digest of these files."""
        return digest_of(self, paths)

    def _listing(self) -> Mapping[str, SourceFile]:
        """Return the regular files, by name."""
        entries = list(islice(self._root.iterdir(), MAX_FILES + 1))
        if len(entries) > MAX_FILES:
            message = f"{self.name} holds more than {MAX_FILES} files: it is no model's folder"
            raise SourceInvalid(message)
        files = (self._file(entry) for entry in sorted(entries))
        return {file.path: file for file in files if file}

    def _file(self, entry: Path) -> SourceFile | None:
        """Return a regular file; of a link, what it leads to, which must lie in the folder."""
        if entry.is_symlink() and self._leaves(entry):
            message = (
                f"{entry.name} in {self.name} is a symbolic link that leaves the folder or leads"
                " nowhere: copy the file itself there (cp -L)"
            )
            raise SourceInvalid(message)
        found = entry.stat() if entry.exists() else None
        if found is None or not stat.S_ISREG(found.st_mode):
            return None
        return SourceFile(path=checked_path(entry.name), bytes=found.st_size)

    def _leaves(self, link: Path) -> bool:
        """Whether a link leads out of the folder, or nowhere, as one to itself does."""
        return not link.exists() or link.resolve().parent != self._root

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Say what to do where the claim does not let us read."""
        try:
            yield
        except PermissionError as error:
            message = f"{error.filename} on the claim cannot be read: make it readable by others"
            raise SourceInvalid(message) from error
        except FileNotFoundError as error:
            message = f"{error.filename} on the claim has gone while it was read"
            raise SourceChanged(message) from error


def _as_asked(path: Path) -> str:
    """Return the path as the user wrote it."""
    return (
        path.relative_to(SOURCE_VOLUME).as_posix()
        if path.is_relative_to(SOURCE_VOLUME)
        else f"{path}"
    )
