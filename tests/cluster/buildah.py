"""Building images without a docker engine: debootstrap for the base, buildah for the rest."""

import configparser
import hashlib
import io
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster.builds import BUILD_SECONDS, Build, pip_settings, teller
from cluster.commands import follow, locked, run, step, succeeds
from cluster.settings import CACHE, IMAGES

SUITE = "bookworm"
BASE_PACKAGES = ("python3", "python3-pip", "python3-venv", "ca-certificates")
"""What the public python:3.11-slim-bookworm has, as far as our Dockerfiles use it: they install
into a virtual environment, for which Debian's Python needs python3-venv."""

UNNEEDED = ("usr/share/locale", "usr/share/man", "var/cache/apt/archives", "var/lib/apt/lists")
"""Folders of the base that are emptied: 100 of its 260 MB."""

_RECIPE = hashlib.sha256(repr((BASE_PACKAGES, UNNEEDED)).encode()).hexdigest()[:8]
BASE = f"localhost/qmodel/base-python:{SUITE}-{_RECIPE}"
ROOT = CACHE / "buildah"
SCRATCH = ROOT / "scratch"
KEPT_SCRATCH = "buildah-cache"
"""Where buildah keeps the cache mounts of RUN lines: pip's, the compiler's."""

RUN_ROOT = Path("/run/qmodel/buildah")
PROGRAM = (
    "buildah",
    "--storage-driver=overlay",
    f"--root={ROOT / 'storage'}",
    f"--runroot={RUN_ROOT}",
)
"""buildah with a storage of our own."""

_making_base = threading.Lock()


def buildah(words: Sequence[str | Path], timeout: float = 120) -> str:
    """Run buildah; returns its output."""
    return run([*PROGRAM, *words], timeout=timeout, environment=_scratch())


def storage_path(reference: str) -> str:
    """Return where the storage has an image, as skopeo names it."""
    return f"containers-storage:[overlay@{ROOT / 'storage'}+{RUN_ROOT}]{reference}"


@contextmanager
def building() -> Iterator[None]:
    """Hold the lock of all builds: of two commands at once, one waits for the other.

    Removes what a killed build left, gigabytes at times.
    """
    with locked(IMAGES / "build.lock"):
        for path in SCRATCH.glob("*"):
            if path.is_file():
                path.unlink()
            elif path.name != KEPT_SCRATCH:
                shutil.rmtree(path)
        yield


def _scratch() -> dict[str, str]:
    """Return the variable that puts temporary files, and the caches of RUN lines, into ours."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    return {"TMPDIR": str(SCRATCH)}


def exists(reference: str) -> bool:
    """Tell whether the storage holds an image."""
    return succeeds([*PROGRAM, "inspect", "--type=image", reference], timeout=60)


def build(image: Build) -> None:
    """Build an image.

    The machine's certificates and pip's settings are mounted for the time of the build, so that
    nothing of this machine stays in the image.
    """
    ensure_base()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = ["build", "--isolation", "chroot", "--layers", f"--build-arg=BASE={BASE}"]
        mounts = [f"--volume={mount}" for mount in _mounts(folder)]
        command = [*PROGRAM, *words, *mounts, *image.words()]
        follow(command, teller(image.name), timeout=BUILD_SECONDS, environment=_scratch())


def build_from_file(reference: str, program: Path, arguments: Sequence[str]) -> None:
    """Build an image of nothing but one static program, which it runs."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copy2(program, name)
        entry = json.dumps([f"/{program.name}", *arguments])
        _commit(Path(name), reference, ["--entrypoint", entry])


def ensure_base() -> None:
    """Make the base image of our Dockerfiles, unless it exists."""
    with _making_base:
        if not exists(BASE):
            _make_base()


def _make_base() -> None:
    with step(f"making the base image {BASE} (once)"), tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        include = f"--include={','.join(BASE_PACKAGES)}"
        run(["debootstrap", "--variant=minbase", include, SUITE, root], timeout=900)
        for folder in (root / name for name in UNNEEDED):
            shutil.rmtree(folder)
            folder.mkdir()
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
    settings = pip_settings()
    mounts = ["/etc/ssl/certs:/etc/ssl/certs:ro"]
    links = settings.get("find-links", "").split()
    for number, wheels in enumerate(map(Path, links)):
        if wheels.is_dir():
            links[number] = f"/run/wheels/{number}"
            mounts.append(f"{wheels.resolve()}:{links[number]}:ro")
    settings["find-links"] = "\n".join(links)
    if Path(settings.get("cert", "/")).is_file():
        mounts.append(f"{settings['cert']}:/run/pip/ca.crt:ro")
        settings["cert"] = "/run/pip/ca.crt"
    parser = configparser.ConfigParser()
    parser["global"] = settings
    text = io.StringIO()
    parser.write(text)
    (folder / "pip.conf").write_text(text.getvalue())
    return [*mounts, f"{folder / 'pip.conf'}:/etc/pip.conf:ro"]
