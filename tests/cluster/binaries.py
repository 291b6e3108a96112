"""The Go programs: built once, kept in the cache under the hash of what they are built from.

All but one are built in the module `programs/`, so that what they have in common, which is most of
them, is compiled once.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from cluster.commands import follow, locked, run, say, step
from cluster.settings import (
    BINARIES,
    COMPONENTS,
    GO_MODULE,
    HELM_VERSION,
    KUBERNETES_VERSION,
    KWOK_VERSION,
    REGISTRY_VERSION,
    VERSITYGW_VERSION,
)

BUILD_SECONDS = 3600
PACKAGES_TOLD = 250
"""After so many compiled packages a line is shown; all of Kubernetes has some 2,500."""

SMALL = "-s -w"
"""Linker flags: without tables for debuggers."""

COMPILER_FLAGS = ("-trimpath", "-gcflags=all=-dwarf=false")
"""Without tables for debuggers a quarter of a compiler's time is saved."""


def kubernetes() -> Path:
    """Build the control plane and the node, unless they are cached.

    Returns
    -------
    Path
        Folder with kubectl and one name for each of `COMPONENTS`, all links to a single program.
    """
    title = f"Kubernetes {KUBERNETES_VERSION} (once; about 5 min on 2 cores)"
    folder = _ensure("kubernetes", "./kubernetes", title, _version_flags()).parent
    for component in (*COMPONENTS, "kubectl"):
        link = folder / component
        if not link.is_symlink():
            link.symlink_to("kubernetes")
    return folder


def helm() -> Path:
    """Build helm, unless it is cached; returns the program."""
    return _ensure("helm", "helm.sh/helm/v4/cmd/helm", f"helm {HELM_VERSION} (once)")


def kwok() -> Path:
    """Build the kwok controller, unless it is cached; returns the program."""
    return _ensure("kwok", "sigs.k8s.io/kwok/cmd/kwok", f"kwok {KWOK_VERSION} (once)")


def registry() -> Path:
    """Build the reference registry of OCI artifacts, unless it is cached; returns the program."""
    return _ensure("registry", "./registry", f"registry {REGISTRY_VERSION} (once)")


def versitygw() -> Path:
    """Build a server that speaks S3, unless it is cached; returns the program.

    It has nothing in common with the others, and its versions of modules would become theirs.
    """
    package = f"github.com/versity/versitygw/cmd/versitygw@{VERSITYGW_VERSION}"
    folder = BINARIES / f"versitygw-{VERSITYGW_VERSION}-{_go_version()}"
    title = f"versitygw {VERSITYGW_VERSION} (once)"

    def install(unfinished: Path) -> None:
        _go(["install", *COMPILER_FLAGS, "-ldflags", SMALL, package], {"GOBIN": str(unfinished)})

    return _cached(folder, "versitygw", title, install)


def _ensure(name: str, package: str, title: str, linker_flags: str = SMALL) -> Path:
    """Build a program of the module, unless the cache has it; returns the program."""
    sources = [GO_MODULE / "go.mod", GO_MODULE / "go.sum", *sorted(GO_MODULE.glob(f"{name}/*.go"))]
    text = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in sources)
    told = f"{text}{_go_version()}{COMPILER_FLAGS}{linker_flags}"
    key = hashlib.sha256(told.encode()).hexdigest()[:16]

    def build(unfinished: Path) -> None:
        flags = [*COMPILER_FLAGS, "-ldflags", linker_flags, "-o", str(unfinished / name)]
        _go(["build", *flags, package], {}, GO_MODULE)

    return _cached(BINARIES / f"{name}-{key}", name, title, build)


def _cached(folder: Path, name: str, title: str, build: Callable[[Path], None]) -> Path:
    """Return a folder's program, made first where it is not there; other versions of it go."""
    with locked(BINARIES / f"{name}.lock"):
        if not (folder / name).exists():
            with step(f"building {title}"):
                unfinished = folder.with_suffix(".unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)
                build(unfinished)
                unfinished.rename(folder)
            for other in BINARIES.glob(f"{name}-*"):
                if other != folder:
                    shutil.rmtree(other)
    return folder / name


def _go_version() -> str:
    return run(["go", "env", "GOVERSION"]).strip()


def _version_flags() -> str:
    """Linker flags by which the components know their version; helm and kubectl ask for it."""
    major, minor, _ = KUBERNETES_VERSION.lstrip("v").split(".")
    base = "k8s.io/component-base/version"
    values = {
        f"{base}.gitVersion": KUBERNETES_VERSION,
        f"{base}.gitMajor": major,
        f"{base}.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": KUBERNETES_VERSION,
    }
    return " ".join([SMALL, *(f"-X {name}={value}" for name, value in values.items())])


def _go(words: list[str], environment: dict[str, str], folder: Path | None = None) -> None:
    """Run the Go tool, telling how many packages it has compiled."""
    compiled = 0

    def count(line: str) -> None:
        nonlocal compiled
        compiled += not line.startswith("go: ")
        if compiled and compiled % PACKAGES_TOLD == 0:
            say(f"    {compiled} packages compiled, now {line}")

    command = ["go", words[0], "-v", *words[1:]]
    environment = {"CGO_ENABLED": "0", **environment}
    follow(command, count, timeout=BUILD_SECONDS, environment=environment, folder=folder)
