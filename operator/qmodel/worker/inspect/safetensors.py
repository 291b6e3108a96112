"""Headers of safetensors files: a length of 8 bytes, then JSON; no weight is read.

The format's own library maps whole files, so it cannot read the header of one that is far away.
What it checks when it opens a file is checked here: offsets without holes or overlaps, and a file
that ends where its last tensor does.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import Any, TypeGuard

from qmodel.worker.errors import SourceInvalid
from qmodel.worker.inspect.contents import START_BYTES, content_problem
from qmodel.worker.inspect.document import parse_object
from qmodel.worker.inspect.pickles import runs_code
from qmodel.worker.inspect.tensors import MAX_DIMENSIONS, MAX_TENSORS, Tensor
from qmodel.worker.sources import Source, read

MAX_HEADER_BYTES = 25_000_000
"""As the hub's client; the format allows 100 MB, which no model comes near."""
_FIRST_READ_BYTES = 128 << 10
"""One request brings the whole header of nearly every file."""
_LENGTH_BYTES = 8
_MAX_ELEMENTS = 1 << 50
_MAX_NAME_CHARACTERS = 512
_PARALLEL_READS = 4

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


def read_headers(source: Source, paths: Sequence[str]) -> dict[str, tuple[Tensor, ...]]:
    """Return the tensors of each file.

    Raises
    ------
    SourceInvalid
        If a file is not what its header says, or two files hold the same tensor.
    """
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        headers = dict(
            zip(paths, pool.map(lambda path: read_header(source, path), paths), strict=True)
        )
    names = [tensor.name for tensors in headers.values() for tensor in tensors]
    if len(names) > MAX_TENSORS:
        message = f"{source.name} has {len(names)} tensors: at most {MAX_TENSORS} are read"
        raise SourceInvalid(message)
    if len(names) != len(set(names)):
        message = f"{source.name} holds some tensors in two files"
        raise SourceInvalid(message)
    return headers


def read_header(source: Source, path: str) -> tuple[Tensor, ...]:
    """Return the tensors of one file."""
    start = read(source, path, 0, _FIRST_READ_BYTES)
    length = int.from_bytes(start[:_LENGTH_BYTES], "little")
    size = source.files[path].bytes
    whole = 0 < length <= min(MAX_HEADER_BYTES, size - _LENGTH_BYTES)
    disguise = content_problem(path, start[:START_BYTES])
    if disguise and not (whole and _is_only_a_length(start)):
        raise disguise
    if not whole:
        message = (
            f"{path} is no whole safetensors file: it has {size} bytes and announces a header of"
            f" {length}"
        )
        raise SourceInvalid(message)
    have = start[_LENGTH_BYTES : _LENGTH_BYTES + length]
    rest = read(source, path, _LENGTH_BYTES + len(have), length - len(have))
    header = parse_object(_checked_start(path, have + rest), f"the header of {path}")
    _check_metadata(path, header.pop("__metadata__", {}))
    return _tensors(path, header, size - _LENGTH_BYTES - length)


def _is_only_a_length(start: bytes) -> bool:
    """Whether bytes that begin as something else are a header's length and its first bracket."""
    return start[_LENGTH_BYTES:].startswith(b"{") and not runs_code(start[:START_BYTES])


def _checked_start(path: str, header: bytes) -> bytes:
    """Return the header if it begins as the format asks, which other readers insist on."""
    if not header.startswith(b"{"):
        message = f"the header of {path} is not valid JSON of a header: an object is expected"
        raise SourceInvalid(message)
    return header


def _check_metadata(path: str, metadata: object) -> None:
    """Check that the free part of a header holds texts only."""
    values = metadata.values() if isinstance(metadata, dict) else [None]
    if not all(isinstance(value, str) for value in values):
        message = f"the header of {path} has a __metadata__ that is no table of texts"
        raise SourceInvalid(message)


def _tensors(path: str, header: dict[str, Any], data_bytes: int) -> tuple[Tensor, ...]:
    """Return the tensors, whose data must fill the rest of the file exactly."""
    if len(header) > MAX_TENSORS:
        message = f"{path} announces {len(header)} tensors: at most {MAX_TENSORS} are read"
        raise SourceInvalid(message)
    entries = [_tensor(path, name, entry) for name, entry in header.items()]
    entries.sort(key=lambda entry: (entry[1], entry[0].bytes))
    end = 0
    for tensor, begin in entries:
        if begin != end:
            message = f"{path}: the data of {tensor.name[:200]} begins at {begin}, not at {end}"
            raise SourceInvalid(message)
        end = begin + tensor.bytes
    if end != data_bytes:
        message = (
            f"{path} is truncated or damaged: its header announces {end} bytes of tensors, the"
            f" file holds {data_bytes}"
        )
        raise SourceInvalid(message)
    return tuple(tensor for tensor, _ in entries)


def _tensor(path: str, name: str, entry: object) -> tuple[Tensor, int]:
    """Return one tensor and where its data begins."""
    where = f"{path}: tensor {name[:200]}"
    if len(name) > _MAX_NAME_CHARACTERS or not name.isprintable():
        message = f"{path} names a tensor {name[:200]!r}, which is no name"
        raise SourceInvalid(message)
    if not isinstance(entry, dict) or str(entry.get("dtype")) not in _BITS:
        message = f"{where} has an unknown type"
        raise SourceInvalid(message)
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not _is_counts(shape, MAX_DIMENSIONS) or not _is_counts(offsets, 2) or len(offsets) != 2:  # noqa: PLR2004  begin and end
        message = f"{where} has no valid shape and data_offsets"
        raise SourceInvalid(message)
    size = prod(shape) * _BITS[entry["dtype"]] // 8
    if prod(shape) > _MAX_ELEMENTS or offsets[1] - offsets[0] != size:
        message = f"{where} has shape {shape} but {offsets[1] - offsets[0]} bytes"
        raise SourceInvalid(message)
    return Tensor(name, entry["dtype"], tuple(shape), size), offsets[0]


def _is_counts(value: object, longest: int) -> TypeGuard[list[int]]:
    """Whether a value is a short list of whole numbers, none negative."""
    return (
        isinstance(value, list)
        and len(value) <= longest
        and all(type(item) is int and 0 <= item <= _MAX_ELEMENTS for item in value)
    )
