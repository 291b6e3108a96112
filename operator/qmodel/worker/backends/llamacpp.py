"""llama.cpp as a backend."""

from importlib.metadata import version
from pathlib import Path

import llama_cpp
from pydantic import JsonValue

from qmodel.api.gguf import GGUFOptions
from qmodel.worker.backends import (
    gguf_conversion,
    gguf_quantizer,
    importance_matrix,
)
from qmodel.worker.backends.importance_matrix import Matrix
from qmodel.worker.backends.llama_model import LlamaModel
from qmodel.worker.backends.tools import LLAMA_HOME
from qmodel.worker.calibration import TEXT_FILE, calibration_text
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.store import base_store
from qmodel.worker.task import Recipe


class LlamaCpp:
    """Makes GGUF files."""

    takes_samples = False
    makes_folder = False

    def quantize(
        self,
        recipe: Recipe,
        source: Path,
        out: Path,
        _samples: None,
        threads: int,
        progress: Progress | ProgressPart,
    ) -> None:
        """Write one GGUF file into the folder `out`.

        An importance matrix is computed from a text, which `out` keeps.
        """
        options = recipe.gguf or GGUFOptions()
        base = self.base(source, base_store(out), progress.part(0.0, 0.35))
        matrix, begun = None, 0.35
        if options.importance_matrix:
            begun = 0.6
            matrix = self._matrix(recipe, base, out, threads, progress.part(0.4, begun))
        name = f"model-{options.type}.gguf"
        part = progress.part(begun, 1.0)
        gguf_quantizer.quantize(base, out / name, options.type, matrix, threads, part)

    def base(self, source: Path, store: Path, progress: Progress | ProgressPart) -> Path:
        """Return the unquantized model as GGUF, converted once below `store`."""
        return gguf_conversion.convert(source, store, progress)

    def open(self, model: Path, threads: int, *, mapped: bool) -> LlamaModel:
        """Load a model."""
        return LlamaModel(model, threads, mapped=mapped)

    def versions(self) -> dict[str, JsonValue]:
        """Return what the manifest should tell about the libraries."""
        return {
            "llama-cpp-python": version("llama_cpp_python"),
            "llama.cpp": llama_cpp.llama_version().decode(),
        }

    def _matrix(
        self, recipe: Recipe, base: Path, out: Path, threads: int, progress: ProgressPart
    ) -> Matrix:
        """Return the importance matrix of `base` on the calibration text."""
        wanted = recipe.calibration
        user_file = Path(wanted.file) if wanted is not None and wanted.file else None
        with self.open(base, threads, mapped=True) as model:
            text = calibration_text(model, user_file)
        (out / TEXT_FILE).write_text(text, encoding="utf-8")
        tool, scratch = LLAMA_HOME / "bin" / "llama-imatrix", out / ".importance-matrix"
        try:
            return importance_matrix.compute(
                tool, base, out / TEXT_FILE, scratch, threads, progress
            )
        finally:
            scratch.unlink(missing_ok=True)
