"""Headers of GGUF files, read by growing range requests; no weight is read.

The PyPI package `gguf` maps the whole file (numpy.memmap) and needs numpy, so it can read neither
a file that is far away nor one in the operator's small image. Layout: ggml's docs/gguf.md.
"""

import struct
from dataclasses import dataclass, field
from math import prod
from typing import Any, NoReturn

from qmodel.worker.errors import SourceInvalid, UnsupportedModel
from qmodel.worker.inspect.tensors import Tensor
from qmodel.worker.sources import Source, read

MAX_HEADER_BYTES = 48 << 20
"""The largest vocabularies in use take 20 MB."""
_FIRST_WINDOW_BYTES = 1 << 20
_VERSIONS = (2, 3)
_MAX_ENTRIES = 10_000
_MAX_TENSORS = 100_000
_MAX_DIMENSIONS = 4
_MAX_EXTENT = 1 << 48
_KEPT_ITEMS = 8192
"""Of an array; only its length is kept beyond: vocabularies are not needed."""
_MAX_KEPT_TEXT = 1 << 20
_MAX_KEPT = 4 << 20
"""Items and characters of all metadata together; models keep less than 100,000."""
_MAX_ALIGNMENT = 1 << 20
_DEFAULT_ALIGNMENT = 32

_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2),
    26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18), 42: ("Q2_0", 64, 18),
}  # fmt: skip
"""Name, weights a block, bytes a block (ggml's type_traits); only types that files hold."""


@dataclass(frozen=True)
class Header:
    """What a GGUF file says of itself."""

    metadata: dict[str, Any]
    tensors: tuple[Tensor, ...]
    lengths: dict[str, int] = field(default_factory=dict)
    """Number of items of each array, kept or not."""


def read_header(source: Source, path: str) -> Header:
    """Return the header of one file.

    Raises
    ------
    SourceInvalid
        If the file is damaged, truncated, or announces what no model has.
    UnsupportedModel
        If its version or a tensor's type is unknown.
    """
    reader = _Reader(source, path)
    if reader.take(4) != b"GGUF":
        reader.refuse("it does not begin with GGUF")
    version, tensor_count, entry_count = reader.scalars("IQQ")
    if version not in _VERSIONS:
        message = f"{path} is GGUF version {version}: versions 2 and 3 are read"
        raise UnsupportedModel(message)
    if tensor_count > _MAX_TENSORS or entry_count > _MAX_ENTRIES:
        reader.refuse(f"it announces {tensor_count} tensors and {entry_count} entries")
    metadata: dict[str, Any] = {}
    lengths: dict[str, int] = {}
    for _ in range(entry_count):
        key = reader.text()
        if key in metadata:
            reader.refuse(f"it says {key[:100]!r} twice")
        metadata[key], lengths[key] = reader.value(reader.scalar("I"))
    entries = [reader.tensor() for _ in range(tensor_count)]
    if len({tensor.name for tensor, _ in entries}) != len(entries):
        reader.refuse("it holds a tensor twice")
    _check_extent(reader, metadata.get("general.alignment", _DEFAULT_ALIGNMENT), entries)
    return Header(metadata, tuple(tensor for tensor, _ in entries), lengths)


class _Reader:
    """Takes bytes in order from a window that doubles; past the bound or the end it refuses."""

    def __init__(self, source: Source, path: str) -> None:
        self._source, self._path = source, path
        self.size = source.files[path].bytes
        self.position = 0
        self._window = bytearray()
        self._kept = 0

    def refuse(self, problem: str) -> NoReturn:
        message = f"{self._path} is damaged or no model: {problem}"
        raise SourceInvalid(message)

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > self.size:
            self.refuse(f"its header ends beyond its {self.size} bytes")
        if end > MAX_HEADER_BYTES:
            self.refuse(f"its header has more than {MAX_HEADER_BYTES} bytes")
        while end > len(self._window):
            have = len(self._window)
            more = read(self._source, self._path, have, max(have, _FIRST_WINDOW_BYTES))
            if not more:
                self.refuse("it ends within its header")
            self._window += more
        taken = bytes(self._window[self.position : end])
        self.position = end
        return taken

    def scalars(self, codes: str) -> tuple[Any, ...]:
        return struct.unpack("<" + codes, self.take(struct.calcsize("<" + codes)))

    def scalar(self, code: str) -> Any:
        return self.scalars(code)[0]

    def text(self) -> str:
        length = self.scalar("Q")
        text = self.take(length)
        self._keep(min(length, _MAX_KEPT_TEXT))
        return text[:_MAX_KEPT_TEXT].decode("utf-8", errors="replace")

    def _keep(self, count: int) -> None:
        self._kept += count
        if self._kept > _MAX_KEPT:
            self.refuse(f"its metadata holds more than {_MAX_KEPT} characters and numbers")

    def value(self, kind: int) -> tuple[Any, int]:
        """Return one metadata value and its number of items."""
        if kind == _STRING:
            return self.text(), 1
        if kind == _ARRAY:
            return self._array(*self.scalars("IQ"))
        if kind not in _SCALARS:
            self.refuse(f"metadata of unknown type {kind}")
        return self.scalar(_SCALARS[kind]), 1

    def _array(self, kind: int, count: int) -> tuple[list[Any], int]:
        """Return the first items of an array, and how many there are."""
        if kind == _STRING:
            if count > MAX_HEADER_BYTES // 8:
                self.refuse(f"an array of {count} texts")
            for _ in range(count):
                self.take(self.scalar("Q"))
            return [], count
        if kind not in _SCALARS:
            self.refuse(f"an array of type {kind}")
        item = struct.calcsize("<" + _SCALARS[kind])
        content = self.take(count * item)
        kept = min(count, _KEPT_ITEMS)
        self._keep(kept)
        return list(struct.unpack(f"<{kept}{_SCALARS[kind]}", content[: kept * item])), count

    def tensor(self) -> tuple[Tensor, int]:
        """Return one tensor and its offset among the data."""
        name = self.text()
        dimensions = self.scalar("I")
        if not 1 <= dimensions <= _MAX_DIMENSIONS:
            self.refuse(f"tensor {name[:200]} has {dimensions} dimensions")
        shape = self.scalars("Q" * dimensions)
        kind, offset = self.scalars("IQ")
        if kind not in _TYPES:
            message = f"{self._path}: tensor {name[:200]} has the unknown type {kind}"
            raise UnsupportedModel(message)
        type_name, block, block_bytes = _TYPES[kind]
        elements = prod(shape)
        if not 0 < elements <= _MAX_EXTENT or shape[0] % block:
            self.refuse(f"tensor {name[:200]} has the shape {shape} as {type_name}")
        size = elements // block * block_bytes
        return Tensor(name, type_name, tuple(reversed(shape)), size), offset


def _check_extent(reader: _Reader, alignment: object, entries: list[tuple[Tensor, int]]) -> None:
    """Check that the data of the tensors follow each other, as llama.cpp wants, to the end."""
    if type(alignment) is not int or not 0 < alignment <= _MAX_ALIGNMENT or alignment % 8:
        reader.refuse(f"its alignment is {alignment!r}")
    end = 0
    for tensor, offset in entries:
        expected = -(-end // alignment) * alignment
        if offset != expected:
            reader.refuse(f"tensor {tensor.name[:200]} begins at {offset}, not at {expected}")
        end = offset + tensor.bytes
    begin = -(-reader.position // alignment) * alignment
    if begin + end > reader.size:
        reader.refuse(
            f"it is truncated: its tensors end at {begin + end}, the file has {reader.size} bytes"
        )
