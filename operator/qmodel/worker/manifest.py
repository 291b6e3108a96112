"""`manifest.json`: what a folder on the volume holds, so that damage is found before use."""

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue, NonNegativeInt, ValidationError

from qmodel.api.base import ApiModel
from qmodel.worker.errors import ArtifactDamaged
from qmodel.worker.files import read_chunks, regular_files, sha256_of, write_atomically
from qmodel.worker.progress import Progress, ProgressPart

MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 16 << 20


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts or "\0" in path:
        message = f"{path!r} leaves the folder"
        raise ValueError(message)
    return path


class ManifestFile(ApiModel):
    """One file."""

    path: Annotated[str, AfterValidator(_inside)]
    """Relative to the folder, with forward slashes."""
    bytes: NonNegativeInt
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(ApiModel):
    """Every file of a folder but the manifest itself."""

    files: Annotated[list[ManifestFile], Field(min_length=1)]
    """Sorted by path."""
    provenance: dict[str, JsonValue] = Field(default_factory=dict)
    """What the folder was made from and with."""

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def content(self) -> bytes:
        """The manifest as it is stored."""
        return self.model_dump_json(by_alias=True, indent=1).encode()

    @property
    def digest(self) -> str:
        """The sha256 of the manifest, which stands for the whole folder."""
        return hashlib.sha256(self.content).hexdigest()


def write_manifest(
    directory: Path,
    provenance: Mapping[str, JsonValue],
    known: Mapping[str, str] | None = None,
) -> Manifest:
    """Record every regular file below `directory` in its manifest.

    Parameters
    ----------
    directory
        The folder; its files are read unless their hash is known.
    provenance
        What it was made from and with.
    known
        The sha256 by relative path of files that were hashed while they were written.
    """
    files = [
        ManifestFile(
            path=name,
            bytes=path.stat().st_size,
            sha256=(known or {}).get(name) or sha256_of(path),
        )
        for path in regular_files(directory)
        if (name := path.relative_to(directory).as_posix()) != MANIFEST
    ]
    manifest = Manifest(files=files, provenance=dict(provenance))
    write_atomically(directory / MANIFEST, manifest.content)
    return manifest


def load_manifest(directory: Path) -> Manifest:
    """Return the manifest of `directory`.

    Raises
    ------
    ArtifactDamaged
        If it is missing or not a manifest.
    """
    path = directory / MANIFEST
    try:
        size = path.stat().st_size
        if size > _MAX_MANIFEST_BYTES:
            message = f"{path} has {size} bytes: no manifest is that large"
            raise ArtifactDamaged(message)
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        message = f"{path} is missing"
        raise ArtifactDamaged(message) from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        message = f"{path} is not a manifest: {problem['loc']}: {problem['msg']}"
        raise ArtifactDamaged(message) from error


def check_sizes(directory: Path) -> Manifest:
    """Return the manifest if every file is there with its size; contents are not read.

    Raises
    ------
    ArtifactDamaged
        Naming the first file that is not as recorded.
    """
    manifest = load_manifest(directory)
    for file in manifest.files:
        _check_size(directory, file)
    return manifest


def complete(directory: Path) -> bool:
    """Whether `directory` has a manifest and every file that it names, with its size."""
    try:
        check_sizes(directory)
    except ArtifactDamaged:
        return False
    return True


def verify(directory: Path, progress: Progress | ProgressPart) -> Manifest:
    """Read every file and compare it with the manifest.

    Raises
    ------
    ArtifactDamaged
        Naming the file, what was expected and what was found.
    """
    manifest = check_sizes(directory)
    total, done = max(manifest.total_bytes, 1), 0
    for file in manifest.files:
        digest = hashlib.sha256()
        for chunk in read_chunks(directory / file.path):
            digest.update(chunk)
            done += len(chunk)
            progress.at(done / total, f"verifying {file.path}")
        if digest.hexdigest() != file.sha256:
            message = (
                f"{directory / file.path} is damaged: its sha256 is {digest.hexdigest()},"
                f" the manifest says {file.sha256}"
            )
            raise ArtifactDamaged(message)
    return manifest


def _check_size(directory: Path, file: ManifestFile) -> None:
    """Check one file's presence, kind and size."""
    path = directory / file.path
    if path.is_symlink() or not path.is_file():
        message = f"{path} is missing or not a regular file"
        raise ArtifactDamaged(message)
    found = path.lstat().st_size
    if found != file.bytes:
        message = f"{path} is damaged: it has {found} bytes, the manifest says {file.bytes}"
        raise ArtifactDamaged(message)
