"""The programs of the distribution that a node needs."""

import os
import re
import shutil
from collections.abc import Iterable, Sequence

from cluster.commands import ClusterError, run, step
from cluster.settings import GO_MODULE

PROGRAMS = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "openssl": "openssl",
    "buildah": "buildah",
    "skopeo": "skopeo",
    "debootstrap": "debootstrap",
    "catatonit": "catatonit",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
}
"""Program to the Debian package that has it. catatonit is the pause container: a static binary
that does nothing but reap, in 700 kB."""

BUILDERS = ("buildah", "skopeo", "debootstrap")
"""Those that build and push images."""

GO_VERSION = (1, 26)
"""What the module asks for."""
GO_SECONDS = 300

SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def missing_packages(programs: Iterable[str] = PROGRAMS) -> list[str]:
    """Name the packages whose programs are not installed."""
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    return sorted({PROGRAMS[name] for name in programs if not shutil.which(name, path=path)})


def ensure() -> None:
    """Install what is missing of all that a cluster needs.

    Raises
    ------
    ClusterError
        Not root, no apt or no Go: says what has to be installed by hand.
    """
    if os.geteuid() != 0:
        message = (
            "This cluster runs containers and therefore needs root. Without root, point KUBECONFIG "
            "at a cluster of yours, or start docker and install kind."
        )
        raise ClusterError(message)
    _require_go()
    _install(missing_packages())


def ensure_builder() -> None:
    """Install what is missing to build images without docker.

    Raises
    ------
    ClusterError
        Not root or no apt: says what has to be installed by hand.
    """
    if os.geteuid() != 0:
        message = "Images are built by docker, where it answers, or else as root."
        raise ClusterError(message)
    _install(missing_packages(BUILDERS))


def _require_go() -> None:
    """Refuse a Go that is missing or too old to build Kubernetes."""
    wanted = ".".join(map(str, GO_VERSION))
    needed = f"Go {wanted} or later is needed to build Kubernetes: https://go.dev/doc/install"
    try:
        # An older one that may fetch what the module asks for does so, and is that one then.
        found = run(["go", "env", "GOVERSION"], timeout=GO_SECONDS, folder=GO_MODULE).strip()
    except ClusterError as error:
        message = f"{needed}\n{error}"
        raise ClusterError(message) from error
    numbers = re.match(r"go(\d+)\.(\d+)", found)
    if numbers is None or tuple(map(int, numbers.groups())) < GO_VERSION:
        message = f"{needed} (found: {found})"
        raise ClusterError(message)


def _install(packages: Sequence[str]) -> None:
    """Install packages of the distribution."""
    if not packages:
        return
    if not shutil.which("apt-get"):
        message = f"Install the programs of these Debian packages: {' '.join(packages)}"
        raise ClusterError(message)
    with step(f"installing {' '.join(packages)}"):
        run(["apt-get", "update"], timeout=300)
        run(
            ["apt-get", "install", "--yes", "--no-install-recommends", *packages],
            timeout=900,
            environment={"DEBIAN_FRONTEND": "noninteractive"},
        )
