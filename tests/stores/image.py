"""The servers in a container, with a small model in a bucket and in a repository of a registry."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from cluster import binaries, settings
from cluster.commands import locked
from model import repositories, source, tiny
from stores import registry as registry_module
from stores import s3 as s3_module
from stores.registry import HTPASSWD, registry
from stores.s3 import s3_server

BUCKET = "models"
PREFIX = "team/tiny"
REPOSITORY = "team/tiny"
TAG = "v1"
S3_PORT = 7070
REGISTRY_PORT = 5000
CONFIGURATION = {
    "version": "0.1",
    "log": {"level": "warn"},
    "storage": {
        "filesystem": {"rootdirectory": "/srv/registry/blobs"},
        "maintenance": {"readonly": {"enabled": True}},
    },
    "http": {"addr": f":{REGISTRY_PORT}"},
    "auth": {"htpasswd": {"realm": "tests", "path": "/srv/htpasswd"}},
}


def context() -> Path:
    """Return the folder to build the image from, made where it is missing."""
    makers = [Path(str(module.__file__)) for module in (
        repositories, tiny, settings, registry_module, s3_module, sys.modules[__name__],
    )]  # fmt: skip
    makers += [settings.GO_MODULE / "go.mod", settings.GO_MODULE / "registry" / "main.go"]
    target = source.folder("stores", *makers)
    with locked(target.with_suffix(".lock")):
        if not target.exists():
            partial = target.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            _fill(partial)
            partial.rename(target)
    return target


def _fill(folder: Path) -> None:
    """Write the servers, their settings, and what the servers themselves keep of the model."""
    (folder / "bin").mkdir()
    for program in (binaries.registry(), binaries.versitygw()):
        shutil.copy(program, folder / "bin")
    (folder / "registry.yaml").write_text(json.dumps(CONFIGURATION))  # JSON is YAML
    (folder / "htpasswd").write_text(HTPASSWD)
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch)
        repositories.random(model)
        with s3_server(folder / "s3") as bucket:
            bucket.make_bucket(BUCKET)
            bucket.put_folder(BUCKET, PREFIX, model)
        with registry(folder / "registry") as artifacts:
            artifacts.push_folder(REPOSITORY, TAG, model)
