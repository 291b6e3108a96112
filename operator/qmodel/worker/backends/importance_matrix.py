"""The importance matrix: how much each column of each weight matters on the calibration text.

llama-imatrix sums the squared activations that meet each column; the quantizer weighs rounding
errors by them.
"""

import re
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qmodel.worker.backends.tools import run_tool
from qmodel.worker.errors import EngineFailed
from qmodel.worker.progress import Progress, ProgressPart

CHUNK_TOKENS = 256
"""Context of one chunk of the calibration text."""
MIN_TOKENS = 2 * CHUNK_TOKENS
"""llama-imatrix refuses shorter texts."""
MAX_CHUNKS = 128
"""Chunks of a long text that are used: more change the matrix little and take time."""

_CHUNKS = re.compile(r"computing over (\d+) chunks")
_CHUNK = re.compile(r"\[(\d+)\]")

Matrix = Mapping[str, npt.NDArray[np.float32]]


def compute(
    tool: Path, base: Path, text: Path, out: Path, threads: int, progress: Progress | ProgressPart
) -> Matrix:
    """Return the mean squared activation of each weight's columns, by tensor name.

    Parameters
    ----------
    tool
        llama-imatrix.
    base
        The unquantized GGUF file.
    text
        Calibration text.
    out
        Where the tool leaves its file.
    """
    argv = [
        *(str(tool), "--model", str(base), "--file", str(text), "--output-file", str(out)),
        *("--output-format", "dat", "--ctx-size", str(CHUNK_TOKENS)),
        *("--batch-size", str(CHUNK_TOKENS), "--chunks", str(MAX_CHUNKS)),
        *("--threads", str(threads), "--n-gpu-layers", "0", "--load-mode", "mmap", "--no-repack"),
    ]
    run_tool(argv, _Chunks(progress).line)
    return read(out)


def read(path: Path) -> Matrix:
    """Read the tool's binary format: counted records of name, calls and values.

    Raises
    ------
    EngineFailed
        If the file ends before its last record.
    """
    data, matrix = path.read_bytes(), {}
    try:
        (entries,), offset = struct.unpack_from("<i", data), 4
        for _ in range(entries):
            (length,) = struct.unpack_from("<i", data, offset)
            name = data[offset + 4 : offset + 4 + length].decode()
            calls, values = struct.unpack_from("<ii", data, offset + 4 + length)
            offset += 12 + length
            sums = np.frombuffer(data, dtype="<f4", count=values, offset=offset)
            matrix[name] = sums / max(calls, 1)
            offset += 4 * values
    except (struct.error, ValueError) as error:
        message = f"{path.name}: the importance matrix is cut off"
        raise EngineFailed(message) from error
    return matrix


class _Chunks:
    """Reads the tool's progress."""

    def __init__(self, progress: Progress | ProgressPart) -> None:
        self._progress, self._chunks = progress, MAX_CHUNKS

    def line(self, line: str) -> None:
        if total := _CHUNKS.search(line):
            self._chunks = max(int(total[1]), 1)
        elif (done := _CHUNK.findall(line)) and "," in line:
            self._progress.at(int(done[-1]) / self._chunks, "computing the importance matrix")
