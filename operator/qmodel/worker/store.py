"""What lies on the model's volume: artifacts by revision, and conversions that steps share."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from qmodel.worker.errors import SourceInvalid
from qmodel.worker.files import PARTIAL, remove
from qmodel.worker.manifest import MANIFEST

_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")


def base_store(artifact: Path) -> Path:
    """Return the folder of converted, unquantized models beside an artifact's folder."""
    return artifact.parent / ".base"


def source_store(artifact: Path) -> Path:
    """Return the folder of fetched sources beside an artifact's folder."""
    return artifact.parent / "sources"


def make_room(artifact: Path, keep_revisions: Sequence[str], source: str) -> None:
    """Remove the sources, artifacts, conversions and leftovers that nothing needs any more.

    Parameters
    ----------
    artifact
        Folder of the artifact to be made.
    keep_revisions
        Other artifacts that must stay.
    source
        Name of the source's folder; it and its conversion stay.
    """
    kept = {artifact.name, *keep_revisions}
    for folder in _entries(artifact.parent):
        if folder.name.removesuffix(PARTIAL) not in kept and _is_artifact(folder):
            remove(folder)
    for folder in [*_entries(base_store(artifact)), *_entries(source_store(artifact))]:
        if folder.name != source:
            remove(folder)


def link_model(model: Path, folder: Path) -> str:
    """Put a model's files into `folder`, without taking their bytes twice where possible.

    Returns
    -------
    str
        Name of the file to load.
    """
    for part in model_parts(model):
        link(part, folder / part.name)
    return model.name


def link(path: Path, target: Path) -> None:
    """Make a file appear at a second place, taking its bytes twice only where it must be."""
    try:
        os.link(path, target)
    except OSError:  # a filesystem without links, or another one
        shutil.copyfile(path, target)


def source_gguf(source: Path) -> Path | None:
    """Return the GGUF file of a source, the first one of a split model, or None.

    What was inspected is one format: beside safetensors a GGUF file is not the model.

    Raises
    ------
    SourceInvalid
        If there are several models.
    """
    if any(source.glob("*.safetensors")):
        return None
    found = sorted(source.glob("*.gguf"))
    firsts = [file for file in found if not _LATER_PART.search(file.name)]
    if len(firsts) > 1:
        names = ", ".join(file.name for file in firsts)
        message = f"the source holds several GGUF models ({names}): name one in spec.source"
        raise SourceInvalid(message)
    return firsts[0] if firsts else None


def model_parts(model: Path) -> list[Path]:
    """Return all files of a model, which may be split."""
    split = re.fullmatch(r"(.+)-00001-of-(\d{5})\.gguf", model.name)
    if split is None:
        return [model]
    return sorted(model.parent.glob(f"{split[1]}-?????-of-{split[2]}.gguf"))


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


def _is_artifact(folder: Path) -> bool:
    return (folder / MANIFEST).exists() or folder.name.endswith(PARTIAL)
