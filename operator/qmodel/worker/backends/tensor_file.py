"""Tensors of safetensors files as numpy arrays, one at a time.

The format's own library has no bfloat16 for numpy, and torch is not everywhere.
"""

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qmodel.worker.errors import SourceInvalid

FloatArray = npt.NDArray[np.float32]
_LENGTH_BYTES = 8
_TYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8",
    "BF16": "<u2", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


class TensorFile:
    """One file whose header inspection has found to be whole.

    Parameters
    ----------
    path
        The file; it is mapped, so only what is read takes memory.
    """

    def __init__(self, path: Path) -> None:
        self._bytes = np.memmap(path, np.uint8, "r")
        self._start = _LENGTH_BYTES + int.from_bytes(
            self._bytes[:_LENGTH_BYTES].tobytes(), "little"
        )
        self._header = json.loads(self._bytes[_LENGTH_BYTES : self._start].tobytes())
        self._header.pop("__metadata__", None)

    def names(self) -> Iterator[str]:
        """Yield the names of the tensors in the order of the header."""
        yield from self._header

    def read(self, name: str) -> npt.NDArray[Any]:
        """Return a tensor as it is stored; bfloat16 as its 16-bit words.

        Raises
        ------
        SourceInvalid
            If its type is not known or its bytes do not make its shape.
        """
        entry = self._header[name]
        begin, end = entry["data_offsets"]
        kind = _TYPES.get(entry["dtype"])
        if kind is None or end - begin != prod(entry["shape"]) * np.dtype(kind).itemsize:
            message = f"tensor {name} of type {entry['dtype']} cannot be read"
            raise SourceInvalid(message)
        stored = self._bytes[self._start + begin : self._start + end].tobytes()
        return np.frombuffer(stored, kind).reshape(entry["shape"])

    def floats(self, name: str) -> FloatArray:
        """Return a tensor as float32, which holds every 16-bit float exactly."""
        values = self.read(name)
        if self._header[name]["dtype"] == "BF16":
            return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
        return values.astype(np.float32)
