"""Opens a GGUF artifact and its unquantized conversion for evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qmodel.worker.backends.gguf_weights import StoredWeights
from qmodel.worker.backends.llamacpp import LlamaCpp
from qmodel.worker.errors import ArtifactDamaged
from qmodel.worker.progress import ProgressPart
from qmodel.worker.quality.pair import Pair
from qmodel.worker.quality.storage import of_gguf
from qmodel.worker.store import base_store, source_gguf


@contextmanager
def opened(source: Path, artifact: Path, threads: int, progress: ProgressPart) -> Iterator[Pair]:
    """Load both models.

    The artifact's weights are in memory as the server holds them; the unquantized model is
    mapped, so that the kernel can take its pages back.
    """
    model = source_gguf(artifact)
    if model is None:
        message = f"{artifact} holds no GGUF file"
        raise ArtifactDamaged(message)
    backend = LlamaCpp()
    base_file = backend.base(source, base_store(artifact), progress)
    with (
        backend.open(base_file, threads, mapped=True) as base,
        backend.open(model, threads, mapped=False) as quantized,
    ):
        yield Pair(
            base=base,
            quantized=quantized,
            base_weights=StoredWeights(base_file),
            quantized_weights=StoredWeights(model),
            storage=lambda parameter: of_gguf(parameter.dtype),
        )
