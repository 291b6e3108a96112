"""The programs of the distribution that a node needs."""

import os
import shutil

from cluster.commands import ClusterError, run, step

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

SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def missing_packages() -> list[str]:
    """Name the packages whose programs are not installed."""
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    return sorted({p for program, p in PROGRAMS.items() if not shutil.which(program, path=path)})


def ensure() -> None:
    """Install what is missing.

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
    if not shutil.which("go"):
        message = "Go 1.26 or later is needed to build Kubernetes: https://go.dev/doc/install"
        raise ClusterError(message)
    packages = missing_packages()
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
