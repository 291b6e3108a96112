"""Step `evaluate` runs both models over the same tokens and keeps the result with the artifact.

The artifact is loaded back from the volume after its manifest was verified. GGUF is run by
llama.cpp, every other format by transformers; what is done with their logits, answers and weights
is one implementation.
"""

import time
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

from pydantic import ValidationError

from qmodel.worker.details import DETAILS, MAX_DETAILS_BYTES, Details
from qmodel.worker.files import write_atomically
from qmodel.worker.manifest import Manifest, verify
from qmodel.worker.parameters import PARAMETERS, Parameter, Parameters
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.quality import layers
from qmodel.worker.quality.answers import PROMPTS, answers
from qmodel.worker.quality.comparison import compare
from qmodel.worker.quality.measures import Quality, summarize
from qmodel.worker.quality.pair import Pair, require_same_tokens
from qmodel.worker.quality.text import EvaluationText, evaluation_text, sequences
from qmodel.worker.report import Evaluation
from qmodel.worker.resources import peak_bytes
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
    timer = Timer()
    with _opened(task, manifest, progress.part(0.05, 0.15)) as pair:
        timer.lap("load")
        quality = _compared(pair, text, progress.part(0.15, 0.8))
        timer.lap("compare")
        details = _details(pair, _quantized(directory), timer, progress)
    evaluation = Evaluation(
        **vars(quality),
        text=text.kind,
        text_digest=text.digest,
        seconds=round(time.monotonic() - started, 3),
        peak_bytes=peak_bytes(),
    )
    write_atomically(directory / DETAILS, _encoded(details))
    write_atomically(directory / EVALUATION, evaluation.model_dump_json(by_alias=True).encode())
    return evaluation


class Timer:
    """Seconds of each part, in the order in which they end."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, part: str) -> None:
        """Give the time since the last lap to `part`."""
        now = time.monotonic()
        self.seconds[part] = round(now - self._last, 3)
        self._last = now


def _opened(
    task: EvaluateTask, manifest: Manifest, progress: ProgressPart
) -> AbstractContextManager[Pair]:
    """Return both models, to be loaded by the engine of the artifact's format."""
    is_gguf = any(file.path.endswith(".gguf") for file in manifest.files)
    module = import_module(f"qmodel.worker.backends.{'gguf' if is_gguf else 'torch'}_pair")
    pair: AbstractContextManager[Pair] = module.opened(
        Path(task.source_directory), Path(task.directory), task.threads, progress
    )
    return pair


def _compared(pair: Pair, text: EvaluationText, progress: ProgressPart) -> Quality:
    """Return the measures over the same tokens."""
    require_same_tokens(pair, (*text.passages, *PROMPTS))
    progress.at(0.0, "drawing samples")
    tokens = sequences(text, pair.base)
    return summarize(compare(pair.base, pair.quantized, tokens, progress.part(0.2, 1.0)))


def _details(pair: Pair, quantized: list[Parameter], timer: Timer, progress: Progress) -> Details:
    """Return what a report draws."""
    said = answers(pair, progress.part(0.8, 0.9))
    timer.lap("answers")
    errors = layers.errors(pair, layers.chosen(quantized), progress.part(0.9, 0.99))
    drawn = layers.example([p for p in quantized if p.name in {e.name for e in errors}])
    example = layers.example_layer(pair, drawn) if drawn else None
    timer.lap("layers")
    return Details(
        answers=said,
        layers=errors,
        quantized_layers=len(quantized),
        example_layer=example,
        timings=timer.seconds,
    )


def _quantized(directory: Path) -> list[Parameter]:
    """Return the quantized weights of an artifact, in the order of the model."""
    path = directory / PARAMETERS
    if not path.exists():
        return []
    found = Parameters.model_validate_json(path.read_bytes()).parameters
    weights = [parameter for parameter in found if parameter.bits is not None]
    return sorted(weights, key=lambda parameter: _natural(parameter.name))


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that puts layer 2 before layer 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def _encoded(details: Details) -> bytes:
    """Return the details as JSON, with fewer layers where they would be too long."""
    content = details.model_dump_json(by_alias=True).encode()
    while len(content) > MAX_DETAILS_BYTES and details.layers:
        fewer = layers.sampled(details.layers, 2)
        if len(fewer) == len(details.layers):  # one of each kind
            fewer = fewer[: len(fewer) // 2]
        details = details.model_copy(update={"layers": fewer})
        content = details.model_dump_json(by_alias=True).encode()
    return content


def _stored(directory: Path, text: EvaluationText) -> Evaluation | None:
    """Return the stored evaluation if it was made on the same text."""
    try:
        stored = Evaluation.model_validate_json((directory / EVALUATION).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return stored if stored.text_digest == text.digest else None
