"""Pods that do one thing and end."""

from e2e.kube import Object
from e2e.models import CORE, Models

ENDED = {"Succeeded", "Failed"}


def run(models: Models, name: str, spec: Object, seconds: float) -> str:
    """Run a pod to its end, and take it away; return what it printed."""
    start(models, name, spec)
    return finish(models, name, seconds)


def start(models: Models, name: str, spec: Object) -> None:
    """Have a pod run."""
    body = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
    models.kube.apply(models.path(CORE, "pods", name), body)


def finish(models: Models, name: str, seconds: float) -> str:
    """Wait for the end of a pod, and take it away; return what it printed."""
    path = models.path(CORE, "pods", name)
    pod = models.kube.wait(
        path, lambda found: found and found["status"]["phase"] in ENDED, seconds, "ended"
    )
    log = str(models.kube.call("GET", f"{path}/log"))
    models.kube.delete(path)
    assert pod["status"]["phase"] == "Succeeded", f"{name}: {log}"
    return log
