"""Building images without a docker engine: debootstrap for the base, buildah for the rest."""

import configparser
import io
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cluster.commands import locked, run, step
from cluster.settings import CACHE, REPOSITORY

SUITE = "bookworm"
BASE_PACKAGES = ("python3", "python3-pip", "python3-venv", "ca-certificates")
"""What the public python:3.11-slim-bookworm has, as far as our Dockerfiles use it: they install
into a virtual environment, for which Debian's Python needs python3-venv."""

BASE = f"localhost/qmodel/base-python:{SUITE}"
RUN_ROOT = Path("/run/qmodel/buildah")
BUILD_SECONDS = 3600
PIP_SETTINGS = (
    "cert",
    "default_timeout",
    "extra_index_url",
    "find_links",
    "index_url",
    "trusted_host",
)
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Where pip finds the CPU build of torch when no setting says otherwise; PyPI has CUDA builds."""


def buildah(words: Sequence[str | Path], timeout: float = 120) -> str:
    """Run buildah on a storage of our own."""
    storage = ["--storage-driver", "overlay", "--root", CACHE / "buildah", "--runroot", RUN_ROOT]
    return run(["buildah", *storage, *words], timeout=timeout)


def exists(reference: str) -> bool:
    """Tell whether the storage holds an image."""
    images = json.loads(buildah(["images", "--json"]) or "null") or []
    return any(reference in (image.get("names") or []) for image in images)


def build(reference: str, dockerfile: Path, target: str) -> None:
    """Build an image of the repository.

    The machine's certificates and pip's settings are mounted for the time of the build, so that
    nothing of this machine stays in the image.
    """
    ensure_base()
    with tempfile.TemporaryDirectory() as folder:
        words = ["build", "--isolation", "chroot", "--layers", "--build-arg", f"BASE={BASE}"]
        stage = ["--target", target] if target else []
        mounts = [f"--volume={mount}" for mount in _mounts(Path(folder))]
        context = ["--tag", reference, "--file", dockerfile, REPOSITORY]
        buildah([*words, *stage, *mounts, *context], timeout=BUILD_SECONDS)


def build_from_files(
    reference: str, files: dict[str, Path], links: dict[str, str], entry: Sequence[str]
) -> None:
    """Build an image of a few files (path in the image to file here) and symbolic links."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, source in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / path)
        for path, pointed in links.items():
            (folder / path).symlink_to(pointed)
        _commit(folder, reference, ["--entrypoint", json.dumps(list(entry))])


def export(reference: str, archive: Path) -> None:
    """Write an image to an OCI archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    target = f"oci-archive:{unfinished}:{reference}"
    buildah(["push", "--disable-compression", reference, target], timeout=900)
    unfinished.rename(archive)


def ensure_base() -> None:
    """Make the base image of our Dockerfiles, unless it exists."""
    with locked(CACHE / "base.lock"):
        if exists(BASE):
            return
        with step(f"making the base image {BASE} (once)"), tempfile.TemporaryDirectory() as name:
            root = Path(name) / "root"
            include = f"--include={','.join(BASE_PACKAGES)}"
            run(["debootstrap", "--variant=minbase", include, SUITE, root], timeout=900)
            for unneeded in (root / "var/cache/apt/archives").glob("*.deb"):
                unneeded.unlink()
            _commit(root, BASE, ["--cmd", "python3"])


def _commit(root: Path, reference: str, settings: Sequence[str]) -> None:
    """Make an image of one layer from a folder."""
    container = buildah(["from", "scratch"]).strip()
    try:
        buildah(["add", container, root, "/"], timeout=600)
        buildah(["config", *settings, container])
        buildah(["commit", container, reference], timeout=600)
    finally:
        buildah(["rm", container])


def _mounts(folder: Path) -> list[str]:
    """Mounts for a build: certificates, pip's settings, and the wheels that they point to."""
    settings = _pip_settings()
    mounts = ["/etc/ssl/certs:/etc/ssl/certs:ro"]
    wheels = Path(settings.get("find-links", ""))
    if wheels.is_absolute() and wheels.is_dir():
        mounts.append(f"{wheels.resolve()}:/run/wheels:ro")
        settings["find-links"] = "/run/wheels"
    if Path(settings.get("cert", "/")).is_file():
        mounts.append(f"{settings['cert']}:/run/pip/ca.crt:ro")
        settings["cert"] = "/run/pip/ca.crt"
    parser = configparser.ConfigParser()
    parser["global"] = settings
    text = io.StringIO()
    parser.write(text)
    (folder / "pip.conf").write_text(text.getvalue())
    return [*mounts, f"{folder / 'pip.conf'}:/etc/pip.conf:ro"]


def _pip_settings() -> dict[str, str]:
    """Read pip's own settings: its files, then its variables."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(["/etc/pip.conf", Path.home() / ".config/pip/pip.conf"])
    settings = dict(parser["global"]) if parser.has_section("global") else {}
    for name in PIP_SETTINGS:
        if value := os.environ.get(f"PIP_{name.upper()}"):
            settings[name.replace("_", "-")] = value
    if "find-links" not in settings and "index-url" not in settings:
        settings.setdefault("extra-index-url", TORCH_CPU_INDEX)
    return settings
