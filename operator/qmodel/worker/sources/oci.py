"""An OCI artifact whose layers are a model's files, as `oras push` and ModelPack's raw layers."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from qmodel.worker.errors import SourceInvalid, SourceNotFound, UnsupportedModel
from qmodel.worker.sources.base import MAX_FILES, Chunks, SourceFile, checked_path
from qmodel.worker.sources.registry import FIELD, Registry
from qmodel.worker.task import OCISource

_NAMES = ("org.opencontainers.image.title", "org.cncf.model.filepath")
"""Annotations that tell a layer's file name."""
_UNNAMED = {"application/vnd.docker.ai.gguf.v3": "model.gguf"}
"""Media types of layers that are one file, and need no name."""
_ARCHIVE = re.compile(r"[.+]tar\b|[.+](gzip|zstd)$")
_UNPACK = "io.deis.oras.content.unpack"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LISTED = 5


class Artifact:
    """One artifact at one digest.

    Parameters
    ----------
    task
        Reference, and where the pull secret is.

    Raises
    ------
    SourceNotFound, AccessDenied, SourceUnavailable, EndpointRefused
        As the registry answers.
    UnsupportedModel
        If it is an index, or its layers are archives.
    """

    hint = f"{FIELD}.file"

    def __init__(self, task: OCISource) -> None:
        self._registry = Registry(task)
        self.name = self._registry.name
        self._digest, content = self._registry.manifest()
        self.files = self._listing(_manifest(content, self.name))
        self.wanted = task.file
        if self.wanted is not None and self.wanted not in self.files:
            message = f"{self.name} has no file {self.wanted}: correct {self.hint}"
            raise SourceNotFound(message)

    def stream(self, path: str, offset: int, length: int | None = None) -> Chunks:
        """Yield a layer's bytes from `offset` by one range request."""
        return self._registry.blob(self.identity(path), offset, length)

    def identity(self, path: str) -> str:
        """Return the layer's digest."""
        return f"sha256:{self.files[path].sha256}"

    def revision(self, _paths: Sequence[str]) -> str:
        """Return the digest of the manifest."""
        return self._digest

    def _listing(self, manifest: Mapping[str, Any]) -> Mapping[str, SourceFile]:
        """Return the layers that are files, by name."""
        layers = manifest.get("layers", [])
        if not isinstance(layers, list) or len(layers) > MAX_FILES:
            message = f"the manifest of {self.name} has no list of layers, or an absurd one"
            raise SourceInvalid(message)
        files: dict[str, SourceFile] = {}
        for layer in layers:
            file = _file(layer, self.name)
            if file is not None and files.setdefault(file.path, file) != file:
                message = f"{self.name} holds two layers named {file.path}"
                raise SourceInvalid(message)
        return files


def _manifest(content: bytes, name: str) -> Mapping[str, Any]:
    """Return a manifest; an index of several is refused, with what it names."""
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as error:
        message = f"the manifest of {name} is not JSON"
        raise SourceInvalid(message) from error
    if not isinstance(manifest, dict):
        message = f"the manifest of {name} is not an object"
        raise SourceInvalid(message)
    members = manifest.get("manifests")
    if isinstance(members, list):
        digests = [str(each.get("digest"))[:80] for each in members if isinstance(each, dict)]
        message = (
            f"{name} is an index of {len(digests)} manifests: set {FIELD}.reference to one of"
            f" them, as {name}@{{digest}}: {', '.join(digests[:_LISTED])}"
        )
        raise UnsupportedModel(message)
    return manifest


def _file(layer: Any, name: str) -> SourceFile | None:
    """Return a layer as a file, or nothing if it says no name."""
    if not isinstance(layer, dict):
        message = f"the manifest of {name} has a layer that is not an object"
        raise SourceInvalid(message)
    kind, annotations = str(layer.get("mediaType", "")), layer.get("annotations") or {}
    if _ARCHIVE.search(kind) or annotations.get(_UNPACK) == "true":
        message = (
            f"{name} holds an archive ({kind[:100]}), whose files cannot be read one by one: push"
            " the files themselves as layers, as `oras push REFERENCE FILE...` does"
        )
        raise UnsupportedModel(message)
    titles = (annotations.get(key) for key in _NAMES)
    path = next((title for title in titles if title), _UNNAMED.get(kind))
    size, digest = layer.get("size"), layer.get("digest")
    if path is None:
        return None
    if type(size) is not int or size < 0 or not _DIGEST.fullmatch(str(digest)):
        message = f"{name} tells no size or no sha256 of {str(path)[:200]!r}"
        raise SourceInvalid(message)
    return SourceFile(
        path=checked_path(str(path)), bytes=size, sha256=str(digest).removeprefix("sha256:")
    )
