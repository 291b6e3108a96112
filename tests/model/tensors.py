"""bfloat16 safetensors files, written with numpy alone: the tests need no torch."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def to_bfloat16(values: FloatArray) -> npt.NDArray[np.uint16]:
    """Round float32 values to bfloat16, ties to even, as the bits of its 16-bit words."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounding = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return ((bits + rounding) >> np.uint32(16)).astype(np.uint16)


def write_safetensors(path: Path, tensors: Mapping[str, FloatArray]) -> None:
    """Write float32 arrays of any shape as one bfloat16 safetensors file that all may read.

    The file is an eight-byte length, a JSON header of that length, and the tensors' bytes.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, values in tensors.items():
        end = offset + 2 * values.size
        shape = list(values.shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for values in tensors.values():
            file.write(to_bfloat16(values).tobytes())
    path.chmod(0o644)


def random_weights(name: str, *shape: int) -> FloatArray:
    """Return normal weights (standard deviation 0.02) that depend on the name alone."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    generator = np.random.default_rng(seed)
    return (0.02 * generator.standard_normal(shape)).astype(np.float32)
