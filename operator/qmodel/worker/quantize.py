"""Step `quantize` makes `/artifacts/<revision>`: the model's files and where they came from.

Whatever is killed when: the folder appears whole or not at all, and a second run returns what a
first one stored. A revision names the source and the recipe, so another model that asks for the
same in the same storage finds it there.
"""

import json
import time
from hashlib import sha256
from pathlib import Path

from pydantic import JsonValue, ValidationError

from qmodel.api.methods import Backend, Method
from qmodel.worker import (
    adopted_config,
    companions,
    model_card,
    parameters,
    provenance,
    sharding,
)
from qmodel.worker.backends import CalibrationSet, registry
from qmodel.worker.calibration import TEXT_FILE, calibration_set
from qmodel.worker.errors import ArtifactDamaged, TaskInvalid
from qmodel.worker.files import alone, staged, write_atomically
from qmodel.worker.manifest import Manifest, verify, write_manifest
from qmodel.worker.parameters import PARAMETERS, Parameters
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.provenance import PROVENANCE
from qmodel.worker.report import Artifact
from qmodel.worker.resources import peak_bytes
from qmodel.worker.store import link, make_room, source_gguf
from qmodel.worker.task import QuantizeTask

REPORT = "report.json"
"""The step's answer, kept beside the artifact for a second run."""
FOLDER = "."
"""Model path of an artifact that is loaded as a folder."""


def run(task: QuantizeTask, progress: Progress) -> Artifact:
    """Make the artifact, or return the report of the one that is there and undamaged."""
    with alone(Path(task.directory)):
        return _make(task, progress)


def _make(task: QuantizeTask, progress: Progress) -> Artifact:
    """Make the artifact, unless it is there."""
    directory = Path(task.directory)
    if stored := _stored(directory, progress.part(0.0, 0.02)):
        return stored.model_copy(update={"reused": True})
    started = time.monotonic()
    if task.keep_revisions is not None:
        make_room(directory.parent, task.keep_revisions, Path(task.source_directory).name)
    with staged(directory) as folder:
        facts, found = _fill(task, folder, progress)
        manifest = write_manifest(folder, facts)
        seconds = time.monotonic() - started
        report = _report(manifest, _model_path(folder), found, facts, seconds)
        write_atomically(folder / REPORT, report.model_dump_json(by_alias=True).encode())
    progress.at(1.0, "the artifact is complete")
    return report


def _stored(directory: Path, progress: ProgressPart) -> Artifact | None:
    """Return the stored report of an artifact whose every byte is as recorded."""
    try:
        artifact = Artifact.model_validate_json((directory / REPORT).read_bytes())
        verify(directory, progress)
    except (FileNotFoundError, ValidationError, ArtifactDamaged):
        return None
    return artifact


def _fill(
    task: QuantizeTask, folder: Path, progress: Progress
) -> tuple[dict[str, JsonValue], Parameters | None]:
    """Write everything into `folder` but manifest and report.

    Returns
    -------
    tuple
        The provenance, and what became of each parameter; None where nothing was quantized.
    """
    if task.recipe.backend is None:
        facts, found = provenance.of(task, {}, None), None
        _link_source(task, folder)
    else:
        facts = _quantize(task, task.recipe.backend, folder, progress)
        found = _parameters(task, folder)
        content = found.model_dump_json(by_alias=True, exclude_none=True)
        (folder / PARAMETERS).write_text(content, encoding="utf-8")
    (folder / PROVENANCE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    model_card.write(task, folder, _model_path(folder), facts, found)
    return facts, found


def _link_source(task: QuantizeTask, folder: Path) -> None:
    """Take a source as it is: its one GGUF model, or the whole folder."""
    if task.recipe.method is not Method.NONE:
        message = f"method {task.recipe.method} needs a backend"
        raise TaskInvalid(message)
    source = Path(task.source_directory)
    model = source_gguf(source)
    if model is not None:
        link(model, folder / model.name)
    else:
        companions.link_folder(source, folder)
        adopted_config.complete(folder)


def _quantize(
    task: QuantizeTask, name: Backend, folder: Path, progress: Progress
) -> dict[str, JsonValue]:
    """Write the quantized model into `folder`; return the provenance."""
    source, recipe = Path(task.source_directory), task.recipe
    backend = registry.load(name)
    samples, begun = None, 0.02
    if recipe.calibration is not None and backend.takes_samples:
        begun = 0.3
        samples = _samples(task, folder, progress.part(0.02, begun))
    part = progress.part(begun, 0.95)
    backend.quantize(recipe, source, folder, samples, task.threads, part)
    if backend.makes_folder:
        sharding.check(folder, recipe.max_shard_bytes)
        companions.copy(source, folder)
    return provenance.of(task, backend.versions(), _calibration(task, folder, samples))


def _samples(task: QuantizeTask, folder: Path, progress: ProgressPart) -> CalibrationSet | None:
    """Return what the method observes the model with."""
    # Imported here: it needs transformers, which the image for GGUF is not to load.
    from qmodel.worker.backends.chat_sampler import ChatSampler  # noqa: PLC0415
    from qmodel.worker.backends.readable_source import readable_source  # noqa: PLC0415

    wanted = task.recipe.calibration
    if wanted is None:
        return None

    def on_progress(share: float) -> None:
        progress.at(share, f"drawing {wanted.samples} samples")

    with readable_source(Path(task.source_directory)) as source:
        model = ChatSampler(source, task.threads)
        return calibration_set(wanted, model, folder, on_progress)


def _calibration(
    task: QuantizeTask, folder: Path, samples: CalibrationSet | None
) -> dict[str, JsonValue] | None:
    """Return what identifies the samples, or the text of an importance matrix."""
    if samples is not None:
        return provenance.of_samples(samples)
    path, wanted = folder / TEXT_FILE, task.recipe.calibration
    if not path.exists():
        return None
    kind = "User" if wanted is not None and wanted.file else "SelfDrawn"
    return {"kind": kind, "digest": sha256(path.read_bytes()).hexdigest()}


def _parameters(task: QuantizeTask, folder: Path) -> Parameters:
    """Return what became of each parameter."""
    model = source_gguf(folder)
    if model is not None:
        return parameters.of_gguf(model)
    return parameters.of_folder(Path(task.source_directory), folder, task.recipe)


def _model_path(folder: Path) -> str:
    """Return what an engine loads, relative to the folder."""
    model = source_gguf(folder)
    return FOLDER if model is None else model.name


def _report(
    manifest: Manifest,
    model_path: str,
    found: Parameters | None,
    facts: dict[str, JsonValue],
    seconds: float,
) -> Artifact:
    """Return the step's answer."""
    weights = [f for f in manifest.files if f.path.endswith((".gguf", ".safetensors"))]
    calibration = facts.get("calibration")
    observed = calibration if isinstance(calibration, dict) else {}
    return Artifact.model_validate(
        {
            "modelPath": model_path,
            "files": len(manifest.files),
            "bytes": manifest.total_bytes,
            "weightBytes": sum(file.bytes for file in weights),
            "digest": manifest.digest,
            "seconds": round(seconds, 3),
            "peakBytes": peak_bytes(),
            "quantizedParameters": found.count(quantized=True) if found else None,
            "keptParameters": found.count(quantized=False) if found else None,
            "calibration": observed.get("kind"),
            "calibrationSamples": observed.get("samples"),
        }
    )
