"""Files that are not what their names say: pickles, archives and programs in disguise.

Only chosen files are ever fetched, and none of them is opened by what would unpickle it. Their
first bytes are looked at all the same, so that what is refused is refused here and by its name.
"""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from qmodel.worker.errors import SourceInvalid, StepError, UnsafeModel
from qmodel.worker.sources import Source, read

START_BYTES = 1024
_PARALLEL_READS = 4

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "a zip archive, as torch.save, numpy.savez and Keras write"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x93NUMPY", "a numpy array, which can hold pickled objects"),
    (0, b"\x89HDF\r\n", "an HDF5 file, in which Keras stores code"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\x00", "an xz archive"),
    (0, b"(\xb5/\xfd", "a zstandard archive"),
    (0, b"7z\xbc\xaf'\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a rar archive"),
    (0, b"\x04\x22\x4d\x18", "an lz4 archive, as joblib writes"),
    (0, b"x\x9c", "compressed by zlib, as joblib does with pickles"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x7fELF", "a program (ELF)"),
    (0, b"MZ\x90", "a program (Windows)"),
    (0, b"\xcf\xfa\xed\xfe", "a program (Mach-O)"),
    (0, b"\x00asm", "a program (WebAssembly)"),
    (0, b"#!", "a script"),
    (0, b"SQLite format 3", "a database"),
)
"""Offset, bytes, and what begins so."""
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_OLD_PICKLE = re.compile(rb"\(?c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n(?:p\d+\n)?\(")
"""Protocol 0 has no signature: it begins with the import of what will be called."""
_NOT_THERE = (
    (b"version https://git-lfs", "a pointer of git-lfs: fetch the file itself (git lfs pull)"),
    (b"<!DOCTYPE", "a web page: the download failed"),
    (b"<html", "a web page: the download failed"),
)
_TEXT = {".json", ".jsonl", ".jinja", ".txt", ".md", ".tiktoken"}


def check_contents(source: Source, paths: Iterable[str]) -> None:
    """Check that the files are what their names say, as far as their first bytes tell.

    Raises
    ------
    UnsafeModel
        If one is a pickle, an archive or a program.
    SourceInvalid
        If a text holds binary data, or a file is only a pointer to another.
    """
    chosen = list(paths)
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        starts = pool.map(lambda path: read(source, path, 0, START_BYTES), chosen)
        for path, start in zip(chosen, starts, strict=True):
            problem = content_problem(path, start)
            if problem:
                raise problem


def content_problem(path: str, start: bytes) -> StepError | None:
    """Return what is wrong with a file that begins with these bytes, if that can be told."""
    disguise = _disguise(start)
    if disguise:
        return UnsafeModel(
            f"{path} is {disguise}, whatever its name says; use a source with safetensors and"
            " plain configuration"
        )
    pointer = next((what for begin, what in _NOT_THERE if start.startswith(begin)), None)
    if pointer:
        return SourceInvalid(f"{path} is {pointer}")
    if PurePosixPath(path).suffix in _TEXT and b"\0" in start:
        return SourceInvalid(f"{path} holds binary data where text is expected")
    return None


def _disguise(start: bytes) -> str | None:
    """Return what a file is that begins so, if it is nothing that a model needs."""
    if _PICKLE.match(start) or _OLD_PICKLE.match(start):
        return "a pickle, which can run code when it is read"
    found = (what for at, begin, what in _SIGNATURES if start[at:].startswith(begin))
    return next(found, None)
