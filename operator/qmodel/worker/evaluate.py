"""Step `evaluate` runs both models over the same tokens and keeps the result with the artifact.

The artifact is loaded back from the volume after its manifest was verified, with its weights in
memory as the server holds them; the unquantized model is mapped, so that the kernel can take its
pages back.
"""

import time
from pathlib import Path

from pydantic import ValidationError

from qmodel.worker.backends.llamacpp import LlamaCpp
from qmodel.worker.errors import ArtifactDamaged
from qmodel.worker.files import write_atomically
from qmodel.worker.manifest import Manifest, verify
from qmodel.worker.progress import Progress
from qmodel.worker.quality.comparison import compare
from qmodel.worker.quality.measures import summarize
from qmodel.worker.quality.text import EvaluationText, evaluation_text, sequences
from qmodel.worker.report import Evaluation
from qmodel.worker.resources import peak_bytes
from qmodel.worker.store import base_store
from qmodel.worker.task import EvaluateTask

EVALUATION = "evaluation.json"
"""The last evaluation, kept beside the artifact."""


def run(task: EvaluateTask, progress: Progress) -> Evaluation:
    """Compare the artifact with its source, or return the stored result for the same text."""
    started = time.monotonic()
    directory = Path(task.directory)
    manifest = verify(directory, progress.part(0.0, 0.05))
    text = evaluation_text(Path(task.text_file) if task.text_file else None)
    if stored := _stored(directory, text):
        return stored
    backend = LlamaCpp()
    base_file = backend.base(
        Path(task.source_directory), base_store(directory), progress.part(0.05, 0.1)
    )
    with (
        backend.open(base_file, task.threads, mapped=True) as base,
        backend.open(model_file(directory, manifest), task.threads, mapped=False) as quantized,
    ):
        tokens = sequences(text, base)
        quality = summarize(compare(base, quantized, tokens, progress.part(0.2, 1.0)))
    evaluation = Evaluation(
        **vars(quality),
        text=text.kind,
        text_digest=text.digest,
        seconds=round(time.monotonic() - started, 3),
        peak_bytes=peak_bytes(),
    )
    write_atomically(directory / EVALUATION, evaluation.model_dump_json(by_alias=True).encode())
    return evaluation


def model_file(directory: Path, manifest: Manifest) -> Path:
    """Return the GGUF file of an artifact, the first one of a split model.

    Raises
    ------
    ArtifactDamaged
        If it holds none.
    """
    found = sorted(file.path for file in manifest.files if file.path.endswith(".gguf"))
    if not found:
        message = f"{directory} holds no GGUF file"
        raise ArtifactDamaged(message)
    return directory / found[0]


def _stored(directory: Path, text: EvaluationText) -> Evaluation | None:
    """Return the stored evaluation if it was made on the same text."""
    try:
        stored = Evaluation.model_validate_json((directory / EVALUATION).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return stored if stored.text_digest == text.digest else None
