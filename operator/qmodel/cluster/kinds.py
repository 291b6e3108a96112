"""The kinds of Kubernetes objects that the operator reads and writes, and their URLs."""

from dataclasses import dataclass
from urllib.parse import quote

from qmodel.api.base import GROUP, KIND, PLURAL, VERSION


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object."""

    name: str
    plural: str
    group: str
    """Empty for the core group."""
    version: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """Group and version as an object's apiVersion has them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, sub: str = "") -> str:
        """Return the URL path of a collection, an object, or an object's subresource."""
        root = f"/apis/{self.group}" if self.group else "/api"
        parts = [root, self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        if sub:
            parts.append(sub)
        return "/".join(parts)


@dataclass(frozen=True, slots=True)
class Scope:
    """The objects of one kind that are listed or watched."""

    kind: Kind
    namespace: str | None = None
    """None: all namespaces, or a kind that has none."""
    selector: str = ""
    """Label selector; the API server filters."""


MODEL = Kind(KIND, PLURAL, GROUP, VERSION)
JOB = Kind("Job", "jobs", "batch", "v1")
POD = Kind("Pod", "pods", "", "v1")
DEPLOYMENT = Kind("Deployment", "deployments", "apps", "v1")
SERVICE = Kind("Service", "services", "", "v1")
ENDPOINTS = Kind("EndpointSlice", "endpointslices", "discovery.k8s.io", "v1")
CLAIM = Kind("PersistentVolumeClaim", "persistentvolumeclaims", "", "v1")
NODE = Kind("Node", "nodes", "", "v1", namespaced=False)
EVENT = Kind("Event", "events", "events.k8s.io", "v1")
LEASE = Kind("Lease", "leases", "coordination.k8s.io", "v1")

WRITTEN = {kind.name: kind for kind in (JOB, DEPLOYMENT, SERVICE, CLAIM)}
"""Kinds of the children that a wish may create or remove, by name."""
