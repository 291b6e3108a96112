"""Kubernetes objects as the API server would send them; every argument overrides a default."""

import itertools
from typing import Any

from qmodel.api.base import GROUP, KIND, VERSION
from qmodel.naming import (
    ATTEMPT_LABEL,
    DESIRED_ANNOTATION,
    KEY_LABEL,
    MODEL_UID_LABEL,
    REVISION_LABEL,
    STEP_LABEL,
    VERSION_ANNOTATION,
    child_name,
    volume_name,
)
from qmodel.planner.installation import Installation
from qmodel.settings import OPERATOR_VERSION
from unit.planner.values import images

Object = dict[str, Any]

INSTALLATION = Installation(images(), "https://hub.test")
MODEL_UID = "uid-of-model"
_versions = itertools.count(1)


def meta(name: str, **more: Any) -> Object:
    return {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-of-{name}",
        "resourceVersion": str(next(_versions)),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        **more,
    }


def owned(name: str, labels: Object | None = None, **more: Any) -> Object:
    owner = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "name": "model",
        "uid": MODEL_UID,
        "controller": True,
    }
    labels = {MODEL_UID_LABEL: MODEL_UID, **(labels or {})}
    annotations = {DESIRED_ANNOTATION: "hash", VERSION_ANNOTATION: OPERATOR_VERSION}
    return meta(name, labels=labels, annotations=annotations, ownerReferences=[owner], **more)


def model(name: str = "model", **more: Any) -> Object:
    spec = {
        "source": {"huggingFace": {"repository": "owner/name"}},
        "quantization": {"method": "GGUF"},
    }
    return {
        "metadata": meta(name, generation=1),
        "spec": spec,
        "status": {},
        **more,
    }


def job(name: str = "job", *, done: str = "", **status: Any) -> Object:
    labels = {STEP_LABEL: "inspect", KEY_LABEL: "k1", ATTEMPT_LABEL: "1"}
    if done:
        end = {"type": done, "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z"}
        status["conditions"] = [end]
    spec = {"template": {"spec": {"containers": [{"name": "inspect", "image": "operator:1"}]}}}
    return {"metadata": owned(name, labels), "spec": spec, "status": status}


def pod(name: str = "pod", *, job: str = "job", phase: str = "Running", **more: Any) -> Object:
    controller = {"kind": "Job", "name": job, "uid": f"uid-of-{job}", "controller": True}
    return {
        "metadata": meta(name, labels={MODEL_UID_LABEL: MODEL_UID}, ownerReferences=[controller]),
        "spec": {},
        "status": {"phase": phase, **more},
    }


def ended(name: str = "inspect", message: str = "", **more: Any) -> Object:
    state = {"exitCode": 0, "reason": "Completed", "message": message, **more}
    return {"name": name, "state": {"terminated": state}}


def server_pod(name: str = "server", *, deployment: str = "deployment", **more: Any) -> Object:
    controller = {
        "kind": "ReplicaSet",
        "name": f"{deployment}-abc12",
        "uid": "uid-of-replica-set",
        "controller": True,
    }
    labels = {MODEL_UID_LABEL: MODEL_UID, "pod-template-hash": "abc12"}
    return {
        "metadata": meta(name, labels=labels, ownerReferences=[controller]),
        "spec": {},
        "status": {"phase": "Running", **more},
    }


def deployment(name: str = "deployment", **status: Any) -> Object:
    return {
        "metadata": owned(name, {REVISION_LABEL: "r1"}, generation=2),
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "server"}]}}},
        "status": status,
    }


def service(name: str = child_name("model"), revision: str = "r1") -> Object:
    labels = {REVISION_LABEL: revision}
    metadata = owned(name, labels, uid=f"uid-of-service-{name}")
    return {"metadata": metadata, "spec": {"selector": labels}}


def endpoints(
    *conditions: Object,
    service: str = child_name("model"),
    revision: str = "r1",
    name: str = "slice",
) -> Object:
    controller = {"kind": "Service", "name": service, "uid": f"uid-of-service-{service}"}
    return {
        "metadata": meta(
            name,
            labels={MODEL_UID_LABEL: MODEL_UID, REVISION_LABEL: revision},
            ownerReferences=[{**controller, "controller": True}],
        ),
        "endpoints": [{"conditions": one} for one in conditions] or None,
    }


def claim(name: str = volume_name("model"), **status: Any) -> Object:
    spec = {"resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": owned(name), "spec": spec, "status": status}


def node(name: str = "node", **allocatable: str) -> Object:
    metadata = {"name": name, "uid": f"uid-of-{name}", "resourceVersion": str(next(_versions))}
    return {"metadata": metadata, "spec": {}, "status": {"allocatable": allocatable}}
