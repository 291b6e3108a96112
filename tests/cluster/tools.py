"""kubectl and helm for whichever cluster is used.

A person's own cluster has a kubectl already, by which it was found. Compiling ours, with all of
Kubernetes, is only for the cluster that this machine runs itself.
"""

import os
import shutil
from pathlib import Path

from cluster import binaries, local
from cluster.commands import ClusterError, run
from cluster.settings import HELM_VERSION

HELM_MAJOR = HELM_VERSION.partition(".")[0]
"""The chart is installed with flags that earlier ones do not know."""


def search_path() -> str:
    """Return the value of PATH by which the cluster's kubectl and helm are found.

    Raises
    ------
    ClusterError
        There is no helm that will do, and no Go to build one.
    """
    kubectl = [binaries.kubernetes()] if local.exists() else []
    folders = [*kubectl, helm().parent, os.environ.get("PATH", "")]
    return os.pathsep.join(map(str, folders))


def helm() -> Path:
    """Return the helm to use: beside a person's own cluster theirs, if it is new enough."""
    found = shutil.which("helm")
    if found and not local.exists() and _version(found).startswith(f"{HELM_MAJOR}."):
        return Path(found)
    if not shutil.which("go"):
        message = (
            f"helm {HELM_MAJOR.removeprefix('v')} is needed: https://helm.sh/docs/intro/install/ "
            "(or Go, https://go.dev/doc/install, with which it is built here)"
        )
        raise ClusterError(message)
    return binaries.helm()


def _version(program: str) -> str:
    """Return a helm's version, such as v4.3.1; nothing if it does not run on this machine."""
    try:
        return run([program, "version", "--template", "{{.Version}}"]).strip()
    except ClusterError:
        return ""
