"""Pods that do one thing and end."""

from e2e.kube import Object
from e2e.models import CORE, Models

ENDED = {"Succeeded", "Failed"}


def run(models: Models, name: str, spec: Object, seconds: float) -> str:
    """Run a pod to its end, and take it away; return what it printed."""
    path = models.path(CORE, "pods", name)
    models.kube.apply(path, {"apiVersion": "v1", "kind": "Pod", "spec": spec})
    pod = models.kube.wait(
        path, lambda found: found and found["status"]["phase"] in ENDED, seconds, "ended"
    )
    log = str(models.kube.call("GET", f"{path}/log"))
    models.kube.delete(path)
    assert pod["status"]["phase"] == "Succeeded", f"{name}: {log}"
    return log
