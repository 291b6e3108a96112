"""The repositories: folders `<root>/<owner>/<name>`, and who may read them.

`<root>/repositories.json`, if there is one, says what a folder cannot:

    {"tokens": {"hf_reader": ["test/gated"]},
     "repositories": {"test/gated": {"gated": true, "refs": ["v1"],
                                     "sha256": {"model.safetensors": "00..."}}}}

`tokens` names each known token with the gated repositories that it may read; `sha256`
advertises a checksum that the content does not have.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

LFS_SUFFIXES = (".safetensors", ".gguf", ".bin")
LFS_LEAST_BYTES = 10_000_000
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class File:
    """A file of a repository, with the checksums that the hub advertises."""

    name: str
    path: Path
    size: int
    sha256: str
    is_lfs: bool

    @property
    def pointer(self) -> bytes:
        """The text that git holds in place of a large file."""
        lines = ("version https://git-lfs.github.com/spec/v1", f"oid sha256:{self.sha256}")
        return "\n".join((*lines, f"size {self.size}", "")).encode()

    @property
    def blob_id(self) -> str:
        """Git's object id: of the pointer for a large file, else of the content."""
        return git_blob_id(self.pointer if self.is_lfs else self.path.read_bytes())

    @property
    def etag(self) -> str:
        """What the hub answers as the file's identity."""
        return self.sha256 if self.is_lfs else self.blob_id


@dataclass(frozen=True)
class Repository:
    """One model repository at its only commit."""

    name: str
    files: Mapping[str, File]
    is_gated: bool = False
    refs: tuple[str, ...] = ("main",)

    @property
    def commit(self) -> str:
        """The commit's id: changes when a file does."""
        listing = "".join(f"{file.name} {file.sha256}\n" for file in self.files.values())
        return hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()

    def has_revision(self, revision: str) -> bool:
        """Return whether a branch, tag or commit of that name exists."""
        return revision in (*self.refs, self.commit)


@dataclass
class Store:
    """Reads the folders anew for each request, so that a test may change them."""

    root: Path
    cdn: str = ""
    """Base URL of another server that large files come from, as the hub's do; absent: this one."""

    def repository(self, name: str) -> Repository | None:
        """Return the repository of that name, or None."""
        folder = self.root / name
        if not folder.is_dir() or name.count("/") != 1 or ".." in name:
            return None
        settings = self.settings().get("repositories", {}).get(name, {})
        return Repository(
            name=name,
            files=_files(folder, settings.get("sha256", {})),
            is_gated=settings.get("gated", False),
            refs=("main", *settings.get("refs", ())),
        )

    def hash_all(self) -> None:
        """Hash every file, so that no request has to wait for it."""
        for folder in self.root.glob("*/*/"):
            self.repository(folder.relative_to(self.root).as_posix())

    def knows(self, token: str) -> bool:
        """Return whether the token is one of somebody."""
        return token in self.settings().get("tokens", {})

    def may_read(self, token: str | None, repository: Repository) -> bool:
        """Return whether the token's owner was granted the repository."""
        granted = self.settings().get("tokens", {}).get(token or "", ())
        return not repository.is_gated or repository.name in granted

    def settings(self) -> dict[str, Any]:
        """Return what repositories.json says; nothing without one."""
        path = self.root / "repositories.json"
        loaded: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return loaded


def git_blob_id(content: bytes) -> str:
    """Return the id that git gives a file's content."""
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def _files(folder: Path, advertised: Mapping[str, str]) -> dict[str, File]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = (_file(path, path.relative_to(folder).as_posix(), advertised) for path in paths)
    return {file.name: file for file in files}


def _file(path: Path, name: str, advertised: Mapping[str, str]) -> File:
    status = path.stat()
    sha256 = advertised.get(name) or _sha256(path, status.st_mtime_ns, status.st_size)
    is_lfs = name.endswith(LFS_SUFFIXES) or status.st_size >= LFS_LEAST_BYTES
    return File(name, path, status.st_size, sha256, is_lfs)


@lru_cache(maxsize=1024)
def _sha256(path: Path, _modified_ns: int, _size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
