"""The project's images: what each is made of, built when that changed, loaded into the cluster."""

import hashlib
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import buildah, node
from cluster.commands import ClusterError, locked, run, say, step
from cluster.settings import IMAGES, REPOSITORY

PREFIX = "localhost/qmodel"
KEPT_ARCHIVES = 2
IMPORT_SECONDS = 900


@dataclass(frozen=True)
class Image:
    """An image of the repository, its build context being the repository's root."""

    name: str
    dockerfile: str
    target: str = ""

    def sources(self) -> list[Path]:
        """Return the Dockerfile and all that it copies or mounts from the repository."""
        dockerfile = REPOSITORY / self.dockerfile
        if not dockerfile.exists():
            message = f"{self.dockerfile}: no such file"
            raise ClusterError(message)
        names = _copied(dockerfile.read_text())
        copied = [path for name in names for path in sorted(REPOSITORY.glob(name))]
        return [dockerfile, *copied]

    def reference(self) -> str:
        """Return the image's name with a hash of its sources as the tag."""
        digest = hashlib.sha256(f"{self.target} {buildah.BASE}".encode())
        for path in _files(self.sources()):
            digest.update(f"{path.relative_to(REPOSITORY)} {path.stat().st_mode}".encode())
            digest.update(path.read_bytes())
        return f"{PREFIX}/{self.name}:{digest.hexdigest()[:12]}"


TABLE = {
    image.name: image
    for image in (
        Image("operator", "images/operator/Dockerfile"),
        Image("llamacpp", "images/llamacpp/Dockerfile", "serve"),
        Image("llamacpp-worker", "images/llamacpp/Dockerfile", "worker"),
        Image("test-hub", "tests/hub/Dockerfile"),
    )
}


def _copied(dockerfile: str) -> list[str]:
    """Return what COPY, ADD and RUN --mount take from the build context."""
    names: list[str] = []
    for line in re.sub(r"\\\s*\n", " ", dockerfile).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word in {"COPY", "ADD"} and "--from=" not in rest:
            names += [name for name in rest.split()[:-1] if not name.startswith("--")]
        for mount in re.findall(r"--mount=(\S+)", rest if word == "RUN" else ""):
            options = dict(option.partition("=")[::2] for option in mount.split(","))
            if options.get("type", "bind") == "bind" and "from" not in options:
                names.append(options.get("source") or options.get("src") or ".")
    return names


def _files(paths: Iterable[Path]) -> list[Path]:
    """Return all files among and below the paths, without what Python leaves there."""
    found = {file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))}
    return sorted(f for f in found if f.is_file() and "__pycache__" not in f.parts)


def ensure(names: Sequence[str]) -> dict[str, str]:
    """Build and load images, doing only what is missing.

    Returns
    -------
    dict
        The reference of each image, as pods name it.
    """
    references = {}
    for name in names or TABLE:
        if name not in TABLE:
            message = f"{name}: no such image; there are {', '.join(TABLE)}"
            raise ClusterError(message)
        references[name] = _ensure(TABLE[name])
    return references


def _ensure(image: Image) -> str:
    reference, started = image.reference(), time.monotonic()
    archive = archive_of(reference)
    with locked(IMAGES / f"{image.name}.lock"):
        if is_loaded(reference):
            say(f"  {reference}: loaded")
            return reference
        made = not archive.exists()
        if made:
            say(f"  {reference}: building ...")
            buildah.build(reference, REPOSITORY / image.dockerfile, image.target)
            buildah.export(reference, archive)
            _remove_old(image.name)
        load([archive])
    seconds = time.monotonic() - started
    say(f"  {reference}: {'built' if made else 'cached'}, loaded in {seconds:.1f} s")
    return reference


def archive_of(reference: str) -> Path:
    """Path of an image's archive in the cache."""
    name, _, tag = reference.removeprefix(f"{PREFIX}/").partition(":")
    return IMAGES / f"{name}_{tag}.tar"


def _remove_old(name: str) -> None:
    archives = sorted(IMAGES.glob(f"{name}_*.tar"), key=lambda path: path.stat().st_mtime)
    for archive in archives[:-KEPT_ARCHIVES]:
        archive.unlink()
        buildah.buildah(["rmi", "--force", f"{PREFIX}/{name}:{archive.stem.rpartition('_')[2]}"])


def load(archives: Iterable[Path]) -> None:
    """Load OCI archives into the node's containerd."""
    for archive in archives:
        run([*node.ctr(), "images", "import", archive], timeout=IMPORT_SECONDS)


def is_loaded(reference: str) -> bool:
    """Tell whether the node has an image."""
    return reference in run([*node.ctr(), "images", "ls", "--quiet"]).splitlines()


def ensure_pause() -> None:
    """Load the image of every pod's sandbox."""
    if is_loaded(node.PAUSE):
        return
    archive = archive_of(node.PAUSE)
    if not archive.exists():
        with step("making the pause image (once)"):
            files = {"catatonit": node.pause_program()}
            buildah.build_from_files(node.PAUSE, files, {}, ["/catatonit", "-P"])
            buildah.export(node.PAUSE, archive)
    load([archive])
