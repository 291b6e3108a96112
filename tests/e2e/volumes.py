"""Claims, and pods that put something on them or do something to what is there."""

from typing import Any

from e2e import pods
from e2e.kube import Object
from e2e.models import CORE, Models

POD_SECONDS = 180
USER_ID = 65532


def make_claim(models: Models, name: str, size: str, storage_class: str | None = None) -> None:
    """Make a claim; the volume comes with the first pod that mounts it."""
    chosen = {} if storage_class is None else {"storageClassName": storage_class}
    body = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            **chosen,
        },
    }
    models.kube.apply(models.path(CORE, "persistentvolumeclaims", name), body)


def seed(models: Models, image: str, name: str, folders: dict[str, str]) -> None:
    """Copy repositories of the test hub's image into folders of a claim.

    Parameters
    ----------
    image
        Of the test hub.
    folders
        Folder below the volume's root to repository.
    """
    hub = "python3 -m hub --root /srv/repositories seed --repository"
    script = " && ".join(f"{hub} {what} /volume/{folder}" for folder, what in folders.items())
    run_on(models, image, name, script)


def run_on(models: Models, image: str, claim: str, script: str) -> str:
    """Run a shell script in a pod that has a claim at /volume; return what it printed."""
    name = f"{claim[:40]}-{abs(hash(script)) % 10**6}"
    return pods.run(models, name, _spec(image, claim, script), POD_SECONDS)


def _spec(image: str, claim: str, script: str) -> Object:
    volume: dict[str, Any] = {"name": "volume", "persistentVolumeClaim": {"claimName": claim}}
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsUser": USER_ID, "fsGroup": USER_ID},
        "containers": [
            {
                "name": "main",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-ec", script],
                "volumeMounts": [{"name": "volume", "mountPath": "/volume"}],
            }
        ],
        "volumes": [volume],
    }
