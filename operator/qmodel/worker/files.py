"""Files on a volume: hashed as a stream, made durable, put in place whole or not at all.

A folder is written beside its target, synced to disk and renamed, so that a target that exists
is complete whatever was killed when. Other users than the writer read it: modes are set here.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from qmodel.worker.errors import DiskFull

CHUNK_BYTES = 4 << 20
"""Read and written at once."""
RESERVE_BYTES = 16 << 20
"""Left free on a volume: manifests, reports and the filesystem's own records."""
PARTIAL = ".partial"
"""Suffix of the folder that is being written."""

_FILE_MODE = 0o644
_FOLDER_MODE = 0o755


def read_chunks(path: Path) -> Iterator[memoryview]:
    """Yield a file's bytes in order; each chunk is overwritten by the next."""
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            yield buffer[:count]


def sha256_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """Return a file's sha256 in hexadecimal digits, telling `on_bytes` of each chunk read."""
    digest = hashlib.sha256()
    for chunk in read_chunks(path):
        digest.update(chunk)
        if on_bytes:
            on_bytes(len(chunk))
    return digest.hexdigest()


def require_space(directory: Path, needed: int) -> None:
    """Check that the volume of `directory` takes `needed` more bytes.

    Raises
    ------
    DiskFull
        Naming the directory, the bytes needed and the bytes free.
    """
    free = shutil.disk_usage(existing(directory)).free
    if free < needed + RESERVE_BYTES:
        message = (
            f"{directory} needs {needed} bytes and {RESERVE_BYTES} in reserve, but its volume has"
            f" {free} bytes free: set a larger spec.storage.size, or free some"
        )
        raise DiskFull(message)


@contextmanager
def naming_full_disk(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn a full volume, met while writing `path`, into a DiskFull that tells what it lacks."""
    try:
        yield
    except OSError as error:
        if is_full_disk(error):
            raise disk_full(path, needed) from error
        raise


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that a volume, or the share of it that we may use, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full(path: Path, needed: int | None = None) -> DiskFull:
    """Return the error for a volume that was full while `path` was written."""
    free = shutil.disk_usage(existing(path.absolute())).free
    need = f", {needed} bytes more were needed" if needed is not None else ""
    return DiskFull(
        f"no space left while writing {path}: {free} bytes are free{need};"
        " set a larger spec.storage.size, or free some"
    )


def existing(path: Path) -> Path:
    """Return `path` or the nearest of its parents that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Wait until no other pod works on `target`: models may share a claim, and then a source."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with lock_of(target).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def lock_of(target: Path) -> Path:
    """Return the file that is locked while a pod works on `target`."""
    return target.with_name(f".{target.name}.lock")


@contextmanager
def staged(target: Path, *, resume: bool = False) -> Iterator[Path]:
    """Give a folder to fill that becomes `target` when the block ends without an error.

    Parameters
    ----------
    target
        The folder to appear, whole; one that exists is replaced.
    resume
        Start from what an interrupted attempt left, and leave what this one leaves. Otherwise
        both are removed.
    """
    partial = target.with_name(target.name + PARTIAL)
    if not resume:
        remove(partial)
    partial.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        _make_durable(partial)
        remove(target)
        partial.rename(target)
        _sync(target.parent)
    except BaseException:
        if not resume:
            remove(partial)
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Replace one file by `content`, durably, or leave it as it was."""
    temporary = path.with_name(path.name + PARTIAL)
    temporary.write_bytes(content)
    temporary.chmod(_FILE_MODE)
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file or folder if it exists; of a symbolic link, the link alone."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def regular_files(directory: Path) -> list[Path]:
    """Return the regular files below `directory`, sorted; symbolic links are not followed."""
    found = []
    for folder, _, names in os.walk(directory):
        paths = (Path(folder, name) for name in names)
        found += [path for path in paths if stat.S_ISREG(path.lstat().st_mode)]
    return sorted(found)


def _make_durable(directory: Path) -> None:
    """Set the modes of everything below `directory` and write it out."""
    for path in regular_files(directory):
        path.chmod(_FILE_MODE)
        _sync(path)
    for folder, _, _ in os.walk(directory, topdown=False):
        Path(folder).chmod(_FOLDER_MODE)
        _sync(Path(folder))


def _sync(path: Path) -> None:
    """Wait until a file's or folder's content is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
