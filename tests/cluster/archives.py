"""Images as OCI archives in the cache, and their way into the node's containerd."""

from collections.abc import Iterable
from pathlib import Path

from cluster import buildah, node
from cluster.commands import run, step
from cluster.settings import IMAGES

IMPORT_SECONDS = 900
KEPT = 2
"""So many archives of an image are kept: the present one and the one before."""


def path_of(reference: str) -> Path:
    """Path of an image's archive in the cache."""
    name, _, tag = reference.rpartition("/")[2].partition(":")
    return IMAGES / f"{name}_{tag}.tar"


def load(archives: Iterable[Path]) -> None:
    """Load OCI archives into the node's containerd."""
    for archive in archives:
        run([*node.ctr(), "images", "import", archive.resolve()], timeout=IMPORT_SECONDS)


def is_loaded(reference: str) -> bool:
    """Tell whether the node has an image."""
    return reference in run([*node.ctr(), "images", "ls", "--quiet"]).splitlines()


def remove_old(reference: str) -> None:
    """Remove all but the newest archives of an image, from the cache and from buildah's storage."""
    prefix, _, _ = reference.rpartition(":")
    name = prefix.rpartition("/")[2]
    archives = sorted(IMAGES.glob(f"{name}_*.tar"), key=lambda path: path.stat().st_mtime)
    for archive in archives[:-KEPT]:
        archive.unlink()
        old = f"{prefix}:{archive.stem.rpartition('_')[2]}"
        if buildah.exists(old):
            buildah.buildah(["rmi", "--force", old])


def ensure_pause() -> None:
    """Load the image of every pod's sandbox."""
    if is_loaded(node.PAUSE):
        return
    archive = path_of(node.PAUSE)
    if not archive.exists():
        with step("making the pause image (once)"):
            buildah.build_from_file(node.PAUSE, node.pause_program(), ["-P"])
            buildah.export(node.PAUSE, archive)
    load([archive])
