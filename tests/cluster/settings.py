"""Where things are and which addresses and versions the cluster uses."""

import os
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent

GO_MODULE = HERE / "programs"
"""Requires the Go programs that are built together."""


def _required(module: str) -> str:
    """Return the version of a module that the Go module requires."""
    pattern = rf"^\t{re.escape(module)} (v\S+)"
    found = re.search(pattern, (GO_MODULE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        message = f"{GO_MODULE / 'go.mod'}: no line for {module}"
        raise RuntimeError(message)
    return found[1]


KUBERNETES_VERSION = _required("k8s.io/kubernetes")
KWOK_VERSION = _required("sigs.k8s.io/kwok")
HELM_VERSION = _required("helm.sh/helm/v4")
REGISTRY_VERSION = _required("github.com/distribution/distribution/v3")
VERSITYGW_VERSION = "v1.8.0"

COMPONENTS = (
    "cluster-dns",
    "kubelet",
    "kube-proxy",
    "volume-provisioner",
    "kube-scheduler",
    "kube-controller-manager",
    "kube-apiserver",
    "etcd",
)
"""Processes that are one Go program by several names, in the order in which they are stopped."""

NODE_NAME = "qmodel"
LINK = "qmodel0"
"""The bridge link that holds the node's address (kernels without `dummy` links have bridges)."""

NODE_ADDRESS = "10.97.0.1"
"""Address of the node; an API server refuses a loopback address as its own endpoint."""

SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"
DNS_PORT = 10053
"""Not 53, which a name server of the machine may have taken on all addresses."""

POD_RANGE = "10.98.0.0/16"
API_PORT = 6443
ETCD_PORT = 12379
API_SERVER = f"https://{NODE_ADDRESS}:{API_PORT}"
CLUSTER_DOMAIN = "cluster.local"


def _folder(own: str, standard: str, fallback: str) -> Path:
    base = Path(os.environ.get(standard) or Path.home() / fallback)
    return Path(os.environ[own]) if os.environ.get(own) else base / "qmodel"


CACHE = _folder("QMODEL_CACHE", "XDG_CACHE_HOME", ".cache")
"""What can be made again: binaries, image archives."""

STATE = _folder("QMODEL_STATE", "XDG_STATE_HOME", ".local/state") / "cluster"
"""What belongs to the running cluster; gone after `down`."""

BINARIES = CACHE / "binaries"
IMAGES = CACHE / "images"
LOGS = STATE / "logs"
CERTIFICATES = STATE / "certificates"
KUBECONFIG = STATE / "admin.kubeconfig"
CONTAINERD_SOCKET = STATE / "containerd.sock"
