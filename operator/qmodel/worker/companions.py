"""What stands beside the weights: the source's own tokenizer, chat template, generation config.

Libraries that load and save a tokenizer can alter it, and with it what the model is asked. So
whatever they wrote is replaced by the source's bytes.
"""

import filecmp
import shutil
from pathlib import Path

from qmodel.worker.errors import ArtifactDamaged, SourceInvalid
from qmodel.worker.files import remove
from qmodel.worker.inspect.select import CONFIG, INDEX, TOKENIZERS, beside_weights, matching
from qmodel.worker.store import link

CARD = "README.md"
_OURS = (CONFIG, INDEX, CARD)
"""Files of these names are the artifact's own."""


def copy(source: Path, folder: Path) -> None:
    """Put the source's companions into `folder`, in place of what a library wrote there.

    Raises
    ------
    SourceInvalid
        If the source has no tokenizer: nobody could talk to the model.
    ArtifactDamaged
        If a file is not the source's, byte for byte.
    """
    if not matching(_names(source), TOKENIZERS):
        message = f"the source has no tokenizer: one of {', '.join(TOKENIZERS)} is expected"
        raise SourceInvalid(message)
    for name in companions(folder):
        remove(folder / name)
    for name in companions(source):
        shutil.copyfile(source / name, folder / name)
    check(source, folder)


def check(source: Path, folder: Path) -> None:
    """Check that `folder` has the companions of the source and no others.

    Raises
    ------
    ArtifactDamaged
        Naming the first file that is not the source's.
    """
    names = companions(source)
    if strange := set(companions(folder)) ^ set(names):
        message = f"{min(strange)} is in only one of the source and the artifact"
        raise ArtifactDamaged(message)
    _, different, unread = filecmp.cmpfiles(source, folder, names, shallow=False)
    if different or unread:
        message = f"{(different + unread)[0]} of the artifact is not the source's"
        raise ArtifactDamaged(message)


def companions(folder: Path) -> list[str]:
    """Return the names of the companions in a folder."""
    return [name for name in beside_weights(_names(folder)) if name not in _OURS]


def link_folder(source: Path, folder: Path) -> None:
    """Put the source's weights and what stands beside them into `folder`, as links where possible.

    Nothing else: a source may be an artifact of ours, with a report and a manifest of its own, and
    writing ours to a link would write to the source.
    """
    names = _names(source)
    for name in (*beside_weights(names), *matching(names, ("*.safetensors",))):
        if name != CARD:
            link(source / name, folder / name)


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())
