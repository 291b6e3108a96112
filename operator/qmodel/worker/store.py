"""What lies on the model's volume: artifacts by revision, and conversions that steps share."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from qmodel.worker.errors import SourceInvalid
from qmodel.worker.files import PARTIAL, lock_of, remove
from qmodel.worker.manifest import MANIFEST

_BASES = ".base"
_SOURCES = "sources"


def base_store(artifact: Path) -> Path:
    """Return the folder of converted, unquantized models beside an artifact's folder."""
    return artifact.parent / _BASES


def make_room(volume: Path, keep_revisions: Sequence[str], source: str) -> None:
    """Remove the sources, artifacts, conversions and leftovers that nothing needs any more.

    What a step that was interrupted has of the source stays: it goes on from there.

    Parameters
    ----------
    volume
        Where they lie.
    keep_revisions
        Artifacts that must stay.
    source
        Name of the source's folder; it and its conversion stay.
    """
    for folder in _entries(volume):
        if folder.name.removesuffix(PARTIAL) not in keep_revisions and _is_artifact(folder):
            remove(folder)
    kept = {source, source + PARTIAL, lock_of(volume / source).name}
    for folder in [*_entries(volume / _BASES), *_entries(volume / _SOURCES)]:
        if folder.name not in kept:
            remove(folder)


def link(path: Path, target: Path) -> None:
    """Make a file appear at a second place, taking its bytes twice only where it must be."""
    try:
        os.link(path, target)
    except OSError:  # a filesystem without links, or another one
        shutil.copyfile(path, target)


def source_gguf(source: Path) -> Path | None:
    """Return the GGUF file of a source, or None.

    What was inspected is one format: beside safetensors a GGUF file is not the model.

    Raises
    ------
    SourceInvalid
        If there are several models.
    """
    if any(source.glob("*.safetensors")):
        return None
    found = sorted(source.glob("*.gguf"))
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        message = f"the source holds several GGUF models ({names}): name one in spec.source"
        raise SourceInvalid(message)
    return found[0] if found else None


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


def _is_artifact(folder: Path) -> bool:
    return (folder / MANIFEST).exists() or folder.name.endswith(PARTIAL)
