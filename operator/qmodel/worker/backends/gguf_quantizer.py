"""Quantization of a GGUF file by llama.cpp's library, in bounded memory: it maps the file."""

import ctypes
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp

from qmodel.api.gguf import GGUFType
from qmodel.worker.backends.importance_matrix import Matrix
from qmodel.worker.backends.llama_log import captured_log
from qmodel.worker.errors import DiskFull, EngineFailed
from qmodel.worker.files import require_space
from qmodel.worker.progress import Progress, ProgressPart

SLAB_BYTES = 256 << 20
"""Largest buffer of rows that the quantizer keeps in memory."""

_TENSOR = re.compile(r"^\[\s*(\d+)/\s*(\d+)\]")
_QUANT_SIZE = re.compile(r"quant size\s+=\s+([\d.]+) MiB")
_FILE_TYPES = {GGUFType.F32: "ALL_F32"}
"""llama.cpp's names for types, where they are not MOSTLY_ and the type."""


def quantize(
    base: Path,
    out: Path,
    file_type: GGUFType,
    matrix: Matrix | None,
    threads: int,
    progress: Progress | ProgressPart,
) -> None:
    """Write `base` as `file_type`.

    Raises
    ------
    DiskFull
        If the result does not fit, found out before it is begun.
    EngineFailed
        If llama.cpp refuses; the message ends with its last lines.
    """
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = _file_type(file_type)
    parameters.nthread = threads
    parameters.max_buf_size = SLAB_BYTES
    if matrix is not None:
        parameters.imatrix = ctypes.cast(
            _native(matrix), ctypes.POINTER(llama_cpp.llama_model_imatrix_data)
        )
    require_space(out.parent, _quantized_bytes(base, out, parameters))
    _call_quantizer(base, out, parameters, _tensors_of(progress))


def _native(matrix: Matrix) -> Any:
    """Return the matrix as llama.cpp's null-terminated array; it refers to `matrix`'s memory."""
    entries = (llama_cpp.llama_model_imatrix_data * (len(matrix) + 1))()
    for entry, (name, values) in zip(entries, matrix.items(), strict=False):
        entry.name = name.encode()
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = values.size
    return entries


def _call_quantizer(
    base: Path,
    out: Path,
    parameters: llama_cpp.llama_model_quantize_params,
    on_line: Callable[[str], None],
) -> None:
    """Quantize in a thread, so that a signal to end is answered while the library works."""
    status: list[int] = []

    def work() -> None:
        status.append(
            llama_cpp.llama_model_quantize(
                str(base).encode(), str(out).encode(), ctypes.byref(parameters)
            )
        )

    with captured_log(on_line) as log:
        thread = threading.Thread(target=work, name="quantizer", daemon=True)
        thread.start()
        thread.join()
    if status != [0]:
        tail = log.tail()
        error = DiskFull if "No space left" in tail else EngineFailed
        message = f"llama.cpp could not quantize {base.name}:\n{tail}"
        raise error(message)


def _quantized_bytes(
    base: Path, out: Path, parameters: llama_cpp.llama_model_quantize_params
) -> int:
    """Return the size that the result will have, by a dry run."""
    sizes: list[float] = []

    def on_line(line: str) -> None:
        if found := _QUANT_SIZE.search(line):
            sizes.append(float(found[1]))

    parameters.dry_run = True
    _call_quantizer(base, out, parameters, on_line)
    parameters.dry_run = False
    return int(max(sizes, default=0.0) * 2**20)


def _tensors_of(progress: Progress | ProgressPart) -> Callable[[str], None]:
    """Return a reader of the lines that name the tensor at work."""

    def on_line(line: str) -> None:
        if found := _TENSOR.search(line):
            progress.at((int(found[1]) - 1) / int(found[2]), f"tensor {found[1]} of {found[2]}")

    return on_line


def _file_type(file_type: GGUFType) -> int:
    name = _FILE_TYPES.get(file_type, f"MOSTLY_{file_type.value}")
    value: int = getattr(llama_cpp, f"LLAMA_FTYPE_{name}")
    return value
