"""Files that are not what their names say: pickles, archives and programs in disguise.

Only chosen files are ever fetched, and none of them is opened by what would unpickle it. Their
first bytes are looked at all the same, so that what is refused is refused here and by its name;
what is fetched is looked at to the end by `fetched`.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from qmodel.worker.errors import SourceInvalid, StepError, UnsafeModel
from qmodel.worker.inspect.forms import form_problem
from qmodel.worker.inspect.pickles import runs_code
from qmodel.worker.sources import Source, read

START_BYTES = 64 << 10
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
_PICKLES = tuple(bytes((0x80, protocol)) for protocol in range(6))
_NOT_THERE = (
    (b"version https://git-lfs", "a pointer of git-lfs: fetch the file itself (git lfs pull)"),
    (b"<!DOCTYPE", "a web page: the download failed"),
    (b"<html", "a web page: the download failed"),
)


def check_contents(source: Source, companions: Iterable[str]) -> None:
    """Check that files beside the weights are what their names say, by their first bytes.

    Raises
    ------
    UnsafeModel
        If one is a pickle, an archive or a program.
    SourceInvalid
        If a text holds binary data, or a file is only a pointer to another.
    """
    chosen = list(companions)
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        starts = pool.map(lambda path: read(source, path, 0, START_BYTES), chosen)
        for path, start in zip(chosen, starts, strict=True):
            check_companion(path, start, source.files[path].bytes)


def check_companion(path: str, content: bytes, size: int) -> None:
    """Check that a file beside the weights is what its name says, by all of it or its begin.

    Parameters
    ----------
    path
        Its name.
    content
        All of it, or its begin.
    size
        Bytes of the whole file.
    """
    if problem := content_problem(path, content):
        raise problem
    if size and (found := form_problem(path, content, size)):
        message = f"{path} holds {found}"
        raise SourceInvalid(message)


def content_problem(path: str, start: bytes) -> StepError | None:
    """Return what is wrong with any file that begins with these bytes, if that can be told."""
    disguise = _disguise(start)
    if disguise:
        return UnsafeModel(
            f"{path} is {disguise}, whatever its name says; use a source with safetensors and"
            " plain configuration"
        )
    pointer = next((what for begin, what in _NOT_THERE if start.startswith(begin)), None)
    if pointer:
        return SourceInvalid(f"{path} is {pointer}")
    return None


def _disguise(start: bytes) -> str | None:
    """Return what a file is that begins so, if it is nothing that a model needs."""
    if start.startswith(_PICKLES) or runs_code(start[:START_BYTES]):
        return "a pickle, which can run code when it is read"
    found = (what for at, begin, what in _SIGNATURES if start[at:].startswith(begin))
    return next(found, None)
