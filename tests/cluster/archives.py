"""Built images in the cache, and their way into the node's containerd.

The cache is one OCI layout for all images, in which equal layers are stored once. What the node
has already is left out of what it is sent: after a change of the project's code that is all but a
few hundred kilobytes of an image of a gigabyte.
"""

import io
import json
import tarfile
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cluster import buildah, node
from cluster.builds import Build
from cluster.commands import run, say, step
from cluster.settings import IMAGES

LAYOUT = IMAGES / "layout"
IMPORT_SECONDS = 900
EXPORT_SECONDS = 900
PUSH_SECONDS = 3600
"""Gigabytes, compressed on the way."""
KEPT = 2
"""So many versions of an image are kept: the present one and the one before."""

REFERENCE = "org.opencontainers.image.ref.name"

_index = threading.RLock()
"""Of the layout, whose index is read while another image is put into it."""


def is_cached(reference: str) -> bool:
    """Tell whether the cache has an image."""
    return any(entry["annotations"][REFERENCE] == reference for entry in _entries())


def ensure(image: Build) -> bool:
    """Build an image unless the cache has it; tell whether that was needed."""
    if is_cached(image.reference):
        return False
    say(f"  {image.reference}: building ...")
    buildah.build(image)
    store(image.reference)
    return True


def push(reference: str, destination: str) -> None:
    """Push a cached image to a registry under another name."""
    copy = ["skopeo", "copy", f"oci:{LAYOUT}:{reference}", f"docker://{destination}"]
    run(copy, timeout=PUSH_SECONDS)


def store(reference: str) -> None:
    """Put an image that buildah has into the cache; drop old versions of it from both."""
    # Layers stay uncompressed: only so does the layout tell by its digest that it has one, and
    # buildah's own push would compress all of a gigabyte again at each change.
    copy = ["skopeo", "copy", "--dest-oci-accept-uncompressed-layers"]
    paths = [buildah.storage_path(reference), f"oci:{LAYOUT}:{reference}"]
    with _index:
        LAYOUT.mkdir(parents=True, exist_ok=True)
        run([*copy, *paths], timeout=EXPORT_SECONDS)
        name = reference.rpartition(":")[0]
        versions = [r for r in _references() if r.rpartition(":")[0] == name]
        for old in versions[:-KEPT]:
            _forget(old)
        _remove_unused_blobs()


def provide(reference: str) -> None:
    """Bring a cached image to the node, without the layers that it has."""
    entry = next(entry for entry in _entries() if entry["annotations"][REFERENCE] == reference)
    present = set(run([*node.ctr(), "content", "ls", "--quiet"]).split())
    with tempfile.NamedTemporaryFile(suffix=".tar", dir=IMAGES) as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            _add(archive, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}))
            _add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}))
            for digest in _blobs_of(entry["digest"]):
                if digest == entry["digest"] or digest not in present:
                    archive.add(_blob(digest), f"blobs/{digest.replace(':', '/')}")
        file.flush()
        load([Path(file.name)])


def load(archives: Iterable[Path]) -> None:
    """Load archives of images into the node's containerd."""
    for archive in archives:
        run([*node.ctr(), "images", "import", archive.resolve()], timeout=IMPORT_SECONDS)


def is_loaded(reference: str) -> bool:
    """Tell whether the node has an image."""
    return reference in run([*node.ctr(), "images", "ls", "--quiet"]).splitlines()


def ensure_pause() -> None:
    """Bring the image of every pod's sandbox to the node."""
    if is_loaded(node.PAUSE):
        return
    if not is_cached(node.PAUSE):
        with buildah.building(), step("making the pause image (once)"):
            buildah.build_from_file(node.PAUSE, node.pause_program(), ["-P"])
            store(node.PAUSE)
    provide(node.PAUSE)


def _entries() -> list[dict[str, Any]]:
    """Return what the layout's index says of each image, the oldest first."""
    index = LAYOUT / "index.json"
    with _index:
        return list(json.loads(index.read_text())["manifests"]) if index.exists() else []


def _references() -> list[str]:
    return [entry["annotations"][REFERENCE] for entry in _entries()]


def _forget(reference: str) -> None:
    kept = [entry for entry in _entries() if entry["annotations"][REFERENCE] != reference]
    unfinished = LAYOUT / "index.unfinished"
    unfinished.write_text(json.dumps({"schemaVersion": 2, "manifests": kept}))
    unfinished.rename(LAYOUT / "index.json")
    if buildah.exists(reference):
        buildah.buildah(["rmi", "--force", reference])


def _remove_unused_blobs() -> None:
    used = {blob for entry in _entries() for blob in _blobs_of(entry["digest"])}
    for path in (LAYOUT / "blobs").glob("*/*"):
        if f"{path.parent.name}:{path.name}" not in used:
            path.unlink()


def _blobs_of(manifest: str) -> list[str]:
    """Return the digests of a manifest, its configuration and its layers."""
    content = json.loads(_blob(manifest).read_text())
    return [manifest, *(part["digest"] for part in [content["config"], *content["layers"]])]


def _blob(digest: str) -> Path:
    return LAYOUT / "blobs" / digest.replace(":", "/")


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text.encode())
    archive.addfile(member, io.BytesIO(text.encode()))
