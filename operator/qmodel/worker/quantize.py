"""Step `quantize` makes `/artifacts/<revision>`: the model file and where it came from.

Whatever is killed when: the folder appears whole or not at all, and a second run returns what a
first one stored.
"""

import time
from hashlib import sha256
from pathlib import Path

from pydantic import JsonValue, ValidationError

from qmodel.api.gguf import GGUFOptions
from qmodel.api.methods import Method
from qmodel.worker.backends.llamacpp import LlamaCpp
from qmodel.worker.calibration import calibration_text
from qmodel.worker.errors import ArtifactDamaged, TaskInvalid
from qmodel.worker.files import alone, staged, write_atomically
from qmodel.worker.manifest import MANIFEST, Manifest, verify, write_manifest
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.report import Artifact
from qmodel.worker.resources import peak_bytes
from qmodel.worker.store import base_store, link_model, make_room
from qmodel.worker.task import QuantizeTask

REPORT = "report.json"
"""The step's answer, kept beside the artifact for a second run."""
CALIBRATION = "calibration.txt"


def run(task: QuantizeTask, progress: Progress) -> Artifact:
    """Make the artifact, or return the report of the one that is there and undamaged."""
    with alone(Path(task.directory)):
        return _make(task, progress)


def _make(task: QuantizeTask, progress: Progress) -> Artifact:
    """Make the artifact, unless it is there."""
    directory = Path(task.directory)
    if stored := _stored(directory, progress.part(0.0, 0.02)):
        return stored
    started = time.monotonic()
    if task.keep_revisions is not None:
        make_room(directory, task.keep_revisions, Path(task.source_directory).name)
    backend = LlamaCpp()
    base = backend.base(
        Path(task.source_directory), base_store(directory), progress.part(0.02, 0.35)
    )
    with staged(directory) as folder:
        provenance = _provenance(task, backend)
        if task.recipe.method is Method.NONE:
            model_file = link_model(base, folder)
        else:
            model_file = _quantize(task, backend, base, folder, progress)
            provenance |= _calibration_provenance(folder)
        _write_card(task, folder, model_file)
        manifest = write_manifest(folder, provenance)
        artifact = _report(manifest, model_file, time.monotonic() - started)
        write_atomically(folder / REPORT, artifact.model_dump_json(by_alias=True).encode())
    progress.at(1.0, "the artifact is complete")
    return artifact


def _stored(directory: Path, progress: ProgressPart) -> Artifact | None:
    """Return the stored report of an artifact whose every byte is as recorded."""
    try:
        artifact = Artifact.model_validate_json((directory / REPORT).read_bytes())
        verify(directory, progress)
    except (FileNotFoundError, ValidationError, ArtifactDamaged):
        return None
    return artifact


def _quantize(
    task: QuantizeTask, backend: LlamaCpp, base: Path, folder: Path, progress: Progress
) -> str:
    """Write the quantized model into `folder`; return its name."""
    options = _options(task)
    matrix, begun = None, 0.35
    if options.importance_matrix:
        begun = 0.6
        with backend.open(base, task.threads, mapped=True) as model:
            text = calibration_text(model, _user_file(task))
        (folder / CALIBRATION).write_text(text, encoding="utf-8")
        matrix = backend.importance_matrix(
            base, folder / CALIBRATION, task.threads, progress.part(0.4, begun)
        )
    name = f"model-{options.type}.gguf"
    part = progress.part(begun, 0.95)
    backend.quantize(base, folder / name, options.type, matrix, task.threads, part)
    return name


def _options(task: QuantizeTask) -> GGUFOptions:
    """Return the options of method GGUF."""
    if task.recipe.gguf is None:
        message = "method GGUF needs its options"
        raise TaskInvalid(message)
    return task.recipe.gguf


def _user_file(task: QuantizeTask) -> Path | None:
    """Return the user's calibration text, if there is one."""
    calibration = task.recipe.calibration
    return Path(calibration.file) if calibration is not None and calibration.file else None


def _provenance(task: QuantizeTask, backend: LlamaCpp) -> dict[str, JsonValue]:
    """Return what the artifact is made from and with."""
    return {
        "source": {"repository": task.source_repository, "revision": task.source_revision},
        "revision": task.revision,
        "recipe": task.recipe.to_wire(),
        "libraries": backend.versions(),
    }


def _calibration_provenance(folder: Path) -> dict[str, JsonValue]:
    """Return the digest of the calibration text, if one was used."""
    path = folder / CALIBRATION
    return {"calibrationDigest": sha256(path.read_bytes()).hexdigest()} if path.exists() else {}


def _write_card(task: QuantizeTask, folder: Path, model_file: str) -> None:
    """Write a model card: what this is, for a person who finds the folder."""
    options = task.recipe.gguf
    recipe = f"{task.recipe.method}" + (f" {options.type}" if options else "")
    matrix = ", with an importance matrix" if options and options.importance_matrix else ""
    card = (
        f"# {task.source_repository}, {recipe}\n\n"
        f"`{model_file}` was made from {task.source_repository} at revision"
        f" {task.source_revision}: {recipe}{matrix}. The licence of the source applies.\n\n"
        f"`{MANIFEST}` holds the sha256 of every file and the versions of what made them.\n"
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def _report(manifest: Manifest, model_file: str, seconds: float) -> Artifact:
    """Return the step's answer."""
    weights = [file.bytes for file in manifest.files if file.path.endswith(".gguf")]
    return Artifact(
        model_path=model_file,
        files=len(manifest.files),
        bytes=manifest.total_bytes,
        weight_bytes=sum(weights),
        digest=manifest.digest,
        seconds=round(seconds, 3),
        peak_bytes=peak_bytes(),
    )
