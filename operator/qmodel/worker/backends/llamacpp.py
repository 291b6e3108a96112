"""llama.cpp as a backend."""

from importlib.metadata import version
from pathlib import Path

import llama_cpp
from pydantic import JsonValue

from qmodel.api.gguf import GGUFType
from qmodel.worker.backends import gguf_conversion, gguf_quantizer, importance_matrix
from qmodel.worker.backends.importance_matrix import Matrix
from qmodel.worker.backends.llama_model import LlamaModel
from qmodel.worker.progress import Progress, ProgressPart


class LlamaCpp:
    """Makes GGUF files."""

    def base(self, source: Path, store: Path, progress: Progress | ProgressPart) -> Path:
        """Return the unquantized model as GGUF, converted once below `store`."""
        return gguf_conversion.convert(source, store, progress)

    def importance_matrix(
        self, base: Path, calibration: Path, threads: int, progress: Progress | ProgressPart
    ) -> Matrix:
        """Return the importance matrix of `base` on a calibration text."""
        tool = gguf_conversion.HOME / "bin" / "llama-imatrix"
        out = calibration.with_name(".importance-matrix")
        try:
            return importance_matrix.compute(tool, base, calibration, out, threads, progress)
        finally:
            out.unlink(missing_ok=True)

    def quantize(
        self,
        base: Path,
        out: Path,
        file_type: GGUFType,
        matrix: Matrix | None,
        threads: int,
        progress: Progress | ProgressPart,
    ) -> None:
        """Write `base` as `file_type` to `out`."""
        gguf_quantizer.quantize(base, out, file_type, matrix, threads, progress)

    def open(self, model: Path, threads: int, *, mapped: bool) -> LlamaModel:
        """Load a model."""
        return LlamaModel(model, threads, mapped=mapped)

    def versions(self) -> dict[str, JsonValue]:
        """Return what the manifest should tell about the libraries."""
        return {
            "llama-cpp-python": version("llama_cpp_python"),
            "llama.cpp": llama_cpp.llama_version().decode(),
        }
