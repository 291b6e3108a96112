"""The reference registry: open to push to, or asking for a password or a token."""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx2

from cluster import binaries
from stores.process import HOST, free_port, serving

USER = "reader"
PASSWORD = "registry-secret-of-the-tests"  # noqa: S105 - the test server's own
HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuuMFczBwd50t/GorsIyWRJbxzOuNp07/u\n"
"""The password as bcrypt has it."""
FILE_TYPE = "application/octet-stream"
TITLE = "org.opencontainers.image.title"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"

Layer = dict[str, Any]


@dataclass(frozen=True)
class Registry:
    """A running registry."""

    host: str
    """Host and port."""

    def push(self, repository: str, tag: str, files: Mapping[str, bytes | Path]) -> str:
        """Push files as `oras push` does, one layer each; return the manifest's digest."""
        layers = [
            self.push_blob(repository, content) | {"annotations": {TITLE: name}}
            for name, content in files.items()
        ]
        return self.push_manifest(repository, tag, layers)

    def push_folder(self, repository: str, tag: str, folder: Path) -> str:
        """Push the files of a folder."""
        files = sorted(path for path in folder.iterdir() if path.is_file())
        return self.push(repository, tag, {path.name: path for path in files})

    def push_blob(self, repository: str, content: bytes | Path) -> Layer:
        """Push one blob; return its descriptor."""
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        with _opened(content) as body:
            digest = f"sha256:{hashlib.file_digest(body, 'sha256').hexdigest()}"
            body.seek(0)
            base = f"http://{self.host}/v2/{repository}/blobs/uploads/"
            begun = httpx2.post(base).raise_for_status()
            place = httpx2.URL(base).join(begun.headers["Location"])
            headers = {"Content-Type": FILE_TYPE, "Content-Length": str(size)}
            url = place.copy_merge_params({"digest": digest})
            httpx2.put(url, content=body, headers=headers).raise_for_status()
        return {"mediaType": FILE_TYPE, "digest": digest, "size": size}

    def push_manifest(self, repository: str, tag: str, layers: list[Layer]) -> str:
        """Push a manifest over layers that are there; return its digest."""
        config = self.push_blob(repository, b"{}") | {"mediaType": EMPTY_TYPE}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": "application/vnd.test.model",
            "config": config,
            "layers": layers,
        }
        return self.push_raw(repository, tag, manifest, MANIFEST_TYPE)

    def push_raw(self, repository: str, tag: str, document: Mapping[str, Any], kind: str) -> str:
        """Push a manifest or index as it is; return its digest."""
        url = f"http://{self.host}/v2/{repository}/manifests/{tag}"
        content = json.dumps(document).encode()
        httpx2.put(url, content=content, headers={"Content-Type": kind}).raise_for_status()
        return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _opened(content: bytes | Path) -> BinaryIO:
    return content.open("rb") if isinstance(content, Path) else io.BytesIO(content)


@contextmanager
def registry(folder: Path, auth: Mapping[str, Any] | None = None) -> Iterator[Registry]:
    """Run a registry over a folder; several may share one.

    Parameters
    ----------
    folder
        Where it keeps blobs.
    auth
        Its `auth` section; absent: open to all.
    """
    port = free_port()
    configuration: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "blobs")}},
        "http": {"addr": f"{HOST}:{port}"},
    }
    if auth:
        configuration["auth"] = dict(auth)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{port}.yaml"  # JSON is YAML
    file.write_text(json.dumps(configuration))
    environment = {"OTEL_TRACES_EXPORTER": "none"}
    with serving([binaries.registry(), "serve", file], port, folder / f"{port}.log", environment):
        yield Registry(f"{HOST}:{port}")


def password_auth(folder: Path) -> dict[str, Any]:
    """Return an `auth` section that asks for USER and PASSWORD."""
    file = folder / "htpasswd"
    file.write_text(HTPASSWD)
    return {"htpasswd": {"realm": "tests", "path": str(file)}}
