"""The Go programs: built once, kept in the cache under the hash of what they are built from."""

import hashlib
import shutil
from pathlib import Path

from cluster.commands import follow, locked, run, say, step
from cluster.settings import (
    BINARIES,
    COMPONENTS,
    HELM_VERSION,
    HERE,
    KUBERNETES_VERSION,
    KWOK_VERSION,
    REGISTRY_VERSION,
    VERSITYGW_VERSION,
)

SOURCE = HERE / "kubernetes"
BUILD_SECONDS = 3600
PACKAGES_TOLD = 250
"""After so many compiled packages a line is shown; all of Kubernetes has some 2,500."""


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
    return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in values.items())])


def kubernetes() -> Path:
    """Build the control plane and the node, unless they are cached.

    Returns
    -------
    Path
        Folder with kubectl and one name for each of `COMPONENTS`, all links to a single program.
    """
    sources = sorted(path for path in SOURCE.iterdir() if path.suffix in {".go", ".mod", ".sum"})
    text = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in sources)
    key = hashlib.sha256(f"{text}{_go_version()}{_version_flags()}".encode()).hexdigest()[:16]
    folder = BINARIES / f"kubernetes-{key}"
    with locked(BINARIES / "kubernetes.lock"):
        if not (folder / "kubernetes").exists():
            with step(f"building Kubernetes {KUBERNETES_VERSION} (once; about 5 min on 2 cores)"):
                _build_kubernetes(folder)
            _remove_others(folder, "kubernetes-*")
    return folder


def _build_kubernetes(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "kubernetes"
    unfinished = folder / "unfinished"
    flags = ["-trimpath", "-ldflags", _version_flags()]
    _go(["build", *flags, "-o", str(unfinished), "."], {}, SOURCE)
    for component in (*COMPONENTS, "kubectl"):
        link = folder / component
        link.unlink(missing_ok=True)
        link.symlink_to(program.name)
    unfinished.rename(program)


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


def _remove_others(folder: Path, pattern: str) -> None:
    for other in folder.parent.glob(pattern):
        if other != folder:
            shutil.rmtree(other)


def helm() -> Path:
    """Build helm, unless it is cached; returns the program."""
    return _install("helm", f"helm.sh/helm/{HELM_VERSION.split('.')[0]}/cmd/helm@{HELM_VERSION}")


def kwok() -> Path:
    """Build the kwok controller, unless it is cached; returns the program."""
    return _install("kwok", f"sigs.k8s.io/kwok/cmd/kwok@{KWOK_VERSION}")


def registry() -> Path:
    """Build the reference registry of OCI artifacts, unless it is cached; returns the program."""
    module = "github.com/distribution/distribution/v3"
    return _install("registry", f"{module}/cmd/registry@{REGISTRY_VERSION}")


def versitygw() -> Path:
    """Build a server that speaks S3, unless it is cached; returns the program."""
    module = "github.com/versity/versitygw"
    return _install("versitygw", f"{module}/cmd/versitygw@{VERSITYGW_VERSION}")


def _install(name: str, package: str) -> Path:
    """Build a published Go program with `go install`."""
    version = package.rpartition("@")[2]
    folder = BINARIES / f"{name}-{version}-{_go_version()}"
    with locked(BINARIES / f"{name}.lock"):
        if not (folder / name).exists():
            with step(f"building {name} {version} (once)"):
                unfinished = folder.with_suffix(".unfinished")
                flags = ["-trimpath", "-ldflags", "-s -w"]
                _go(["install", *flags, package], {"GOBIN": str(unfinished)})
                shutil.rmtree(folder, ignore_errors=True)
                unfinished.rename(folder)
            _remove_others(folder, f"{name}-*")
    return folder / name
