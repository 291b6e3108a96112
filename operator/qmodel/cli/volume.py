"""What the model's volume holds beside the artifact, read by a pod that lives for seconds.

A volume can only be read inside the cluster. The pod mounts it read-only, has no privileges and no
service-account token, runs in an image that the model's own pods run in, and is deleted whatever
happens; should this program be killed, the pod ends by its own deadline and goes with the model.
"""

from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.watch import Watch
from urllib3.exceptions import HTTPError

from qmodel.api.resource import QuantizedModel
from qmodel.api.serving import AccessMode, PodTemplate
from qmodel.cli.artifact import ArtifactFiles, unpack
from qmodel.cli.errors import NOT_FOUND, AccessError, told
from qmodel.naming import child_name, volume_name
from qmodel.resources.metadata import child_labels, owner
from qmodel.resources.pod import (
    ARTIFACTS_VOLUME,
    add_wanted,
    claim_volume,
    container,
    pod_spec,
    resources,
    stay_together,
)
from qmodel.worker.task import ARTIFACTS, artifact_directory

CONTAINER = "show"
MEMORY_BYTES = 256 * 2**20
CPU = "100m"
DEADLINE_SECONDS = 120
"""Scheduling, pulling the image and reading."""


def read(core: client.CoreV1Api, model: QuantizedModel) -> ArtifactFiles:
    """Return what the volume holds beside the model's artifact.

    Raises
    ------
    AccessError
        There is no artifact yet, the user may not create pods here, or the pod did not get to read.
    """
    body: Any = pod(model)
    what = f"reading the volume of {model.name}"
    try:
        created: Any = core.create_namespaced_pod(model.namespace, body)
    except (ApiException, HTTPError) as error:
        raise told(error, what) from error
    name = created.metadata.name
    try:
        _await_end(core, model.namespace, name)
        return unpack(core.read_namespaced_pod_log(name, model.namespace))
    except (ApiException, HTTPError) as error:
        raise told(error, what) from error
    except ValueError as error:
        message = f"{what}: {error}"
        raise AccessError(message) from error
    finally:
        _delete(core, model.namespace, name)


def pod(model: QuantizedModel) -> dict[str, Any]:
    """Return the pod that prints the files."""
    artifact = model.status.artifact
    if artifact is None:
        message = f"{model.name} has no artifact yet"
        raise AccessError(message)
    labels = child_labels(model, "report")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{child_name(model.name, 'report')[:56]}-",
            "labels": labels,
            "ownerReferences": [owner(model)],
        },
        "spec": _spec(model, artifact_directory(artifact.revision)),
    }


def _spec(model: QuantizedModel, directory: str) -> dict[str, Any]:
    wanted = _template(model)
    mount: Any = {"name": ARTIFACTS_VOLUME, "mountPath": ARTIFACTS, "readOnly": True}
    built = container(CONTAINER, _image(model), resources(MEMORY_BYTES, CPU), [mount])
    built["command"] = ["python", "-m", "qmodel.worker.show", directory]
    spec = pod_spec(
        containers=[built],
        init_containers=[],
        volumes=[claim_volume(ARTIFACTS_VOLUME, _claim_name(model), read_only=False)],
        node_selector=wanted.node_selector or {},
        tolerations=wanted.tolerations or (),
    )
    spec["restartPolicy"] = "Never"
    add_wanted(spec, wanted)
    if model.spec.storage.access_mode is not AccessMode.READ_WRITE_MANY:
        stay_together(spec, model.uid)
    return {**spec, "activeDeadlineSeconds": DEADLINE_SECONDS}


def _template(model: QuantizedModel) -> PodTemplate:
    """Return how the servers' pods are placed: the volume may be out of reach elsewhere."""
    rollout = model.status.rollout
    if rollout is not None:
        return rollout.pod_template
    return model.spec.serving.pod_template or PodTemplate()


def _image(model: QuantizedModel) -> str:
    """Return an image with the worker, if possible one that the server's node has already."""
    if model.status.rollout is not None:
        return model.status.rollout.image
    steps = (model.status.step("fetch"), model.status.step("quantize"))
    found = next((step.image for step in steps if step is not None), None)
    if found is None:
        message = f"the status of {model.name} names no image to read its volume with"
        raise AccessError(message)
    return found


def _claim_name(model: QuantizedModel) -> str:
    """Return the claim that holds the artifact."""
    if model.status.rollout is not None:
        return model.status.rollout.claim_name
    return model.spec.storage.existing_claim or volume_name(model.name)


def _delete(core: client.CoreV1Api, namespace: str, name: str) -> None:
    """Delete the pod; it may have gone with its model."""
    try:
        core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)
    except (ApiException, HTTPError) as error:
        if not (isinstance(error, ApiException) and error.status == NOT_FOUND):
            raise told(error, f"deleting pod {name}, which is left") from error


def _await_end(core: client.CoreV1Api, namespace: str, name: str) -> None:
    """Wait until the pod has succeeded; raise what kept it from that."""
    watch = Watch()
    state = "was not seen"
    for event in watch.stream(
        core.list_namespaced_pod,
        namespace,
        field_selector=f"metadata.name={name}",
        timeout_seconds=DEADLINE_SECONDS,
    ):
        found = event["object"]
        state = _state(found)
        if found.status.phase == "Succeeded":
            return
        if found.status.phase == "Failed" or event["type"] == "DELETED":
            message = f"pod {name} failed: {_last_words(core, namespace, name) or state}"
            raise AccessError(message)
    message = f"pod {name} did not end within {DEADLINE_SECONDS} s: {state}"
    raise AccessError(message)


def _state(found: Any) -> str:
    """Return in words where a pod stands."""
    waiting = [
        f"{status.state.waiting.reason}: {status.state.waiting.message or ''}"
        for status in found.status.container_statuses or []
        if status.state.waiting is not None
    ]
    unmet = [each.message for each in found.status.conditions or [] if each.message]
    return "; ".join([*waiting, *unmet]) or str(found.status.phase)


def _last_words(core: client.CoreV1Api, namespace: str, name: str) -> str:
    """Return the end of the pod's log, as far as there is one."""
    try:
        return str(core.read_namespaced_pod_log(name, namespace, tail_lines=5)).strip()
    except ApiException:
        return ""
