"""Checks the shards of an artifact: none too large, and an index that names every tensor."""

import json
from pathlib import Path

from qmodel.worker.errors import EngineFailed
from qmodel.worker.inspect import safetensors
from qmodel.worker.inspect.select import INDEX
from qmodel.worker.sources.folder import Folder
from qmodel.worker.task import FolderSource

HEADER_BYTES = 8 << 20
"""What a file may hold beyond its tensors."""


def check(folder: Path, max_shard_bytes: int) -> None:
    """Check the safetensors files of a folder.

    Raises
    ------
    EngineFailed
        If there are none, a shard of several tensors is larger than asked, or the index does not
        name what is there.
    """
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    if not names:
        message = "the library wrote no safetensors file"
        raise EngineFailed(message)
    headers = safetensors.read_headers(Folder(FolderSource(path=str(folder))), names)
    for name, tensors in headers.items():
        size = (folder / name).stat().st_size
        if len(tensors) > 1 and size > max_shard_bytes + HEADER_BYTES:
            message = f"{name} has {size} bytes, more than maxShardSize ({max_shard_bytes})"
            raise EngineFailed(message)
    if len(names) > 1:
        _check_index(folder, {t.name: name for name, found in headers.items() for t in found})


def _check_index(folder: Path, present: dict[str, str]) -> None:
    """Check that the index names every tensor, in its file."""
    path = folder / INDEX
    named = json.loads(path.read_bytes()).get("weight_map") if path.exists() else None
    if named != present:
        message = f"{INDEX} does not name the {len(present)} tensors of the shards"
        raise EngineFailed(message)
