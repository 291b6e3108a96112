"""What a process of the operator's pod finds: a service account, and the packages of its image.

kopf imports the official client wherever it is installed, as it is here and not in the image; so a
process that is measured is not shown it. Needs util-linux's unshare, and root or user namespaces.
"""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from cluster import target
from qmodel.cluster.credentials import SERVICE_ACCOUNT

MISSING = Path(__file__).parent / "missing_in_image"
NAME = "qmodel-bench"
NAMESPACE = "default"
_MOUNTED = 'mount -t tmpfs none /run && mkdir -p "$1" && cp "$2"/* "$1" && shift 2 && exec "$@"'
_OBJECTS = [
    {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    },
]


@dataclass(frozen=True)
class PodView:
    """A service account's files, and where the API server is."""

    directory: Path
    host: str
    port: int

    def command(self, command: list[str]) -> list[str]:
        """Return a command that sees the service account where a pod has it."""
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        shell = ["sh", "-c", _MOUNTED, "sh", str(SERVICE_ACCOUNT), str(self.directory)]
        return ["unshare", "--mount", *user, *shell, *command]

    def environment(self, python_path: str) -> dict[str, str]:
        """Return what its environment adds."""
        return {
            "KUBERNETES_SERVICE_HOST": self.host,
            "KUBERNETES_SERVICE_PORT": str(self.port),
            "PYTHONPATH": os.pathsep.join((str(MISSING), python_path)),
        }


@contextmanager
def pod_view(directory: Path) -> Iterator[PodView]:
    """Make a service account that may do everything; `directory` is for its files."""
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": _OBJECTS})
    target.kubectl(["apply", "-f", "-"], stdin=objects)
    try:
        token = target.kubectl(["create", "token", NAME, f"--namespace={NAMESPACE}"])
        (directory / "token").write_text(token)
        cluster = yaml.safe_load(target.kubeconfig())["clusters"][0]["cluster"]
        (directory / "ca.crt").write_bytes(_authority(cluster))
        server = urlsplit(cluster["server"])
        yield PodView(directory, str(server.hostname), server.port or 443)
    finally:
        target.kubectl(["delete", "--ignore-not-found", "-f", "-"], stdin=objects)


def _authority(cluster: dict[str, str]) -> bytes:
    """Return the certificate that a kubeconfig trusts, inline or as a file."""
    if inline := cluster.get("certificate-authority-data"):
        return base64.b64decode(inline)
    return Path(cluster["certificate-authority"]).read_bytes()
