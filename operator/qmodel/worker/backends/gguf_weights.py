"""The weights of GGUF files as plain arrays, by llama.cpp's own Python package."""

import sys
from collections.abc import Iterator
from pathlib import Path

from qmodel.worker.backends.tools import LLAMA_HOME  # isort: skip

# The image keeps the package beside the converter, of the same version.
sys.path.append(str(LLAMA_HOME / "convert/gguf-py"))

import gguf

from qmodel.worker.quality.pair import Rows, rows_at_once


class StoredWeights:
    """The weights of one model, unpacked block by block from its mapped file.

    Parameters
    ----------
    model
        GGUF file.
    """

    def __init__(self, model: Path) -> None:
        self._tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(model).tensors}

    def blocks(self, name: str) -> Iterator[Rows]:
        """Yield a weight's rows in order.

        Raises
        ------
        KeyError
            If the file has no weight of this name.
        """
        tensor = self._tensors[name]
        stored = tensor.data.reshape(-1, tensor.data.shape[-1])
        count = rows_at_once(int(tensor.shape[0]))
        for start in range(0, len(stored), count):
            yield gguf.dequantize(stored[start : start + count], tensor.tensor_type)
