"""What the store keeps of one object, and whom the object belongs to.

Ownership is proven, never guessed: a child by the controller reference to its model's uid, within
the model's namespace (a reference across namespaces means nothing to Kubernetes either); a pod by
the controller reference to its Job's uid, endpoints by that to their Service's. Only a volume that
shall outlive its model has no owner; the label that the operator gave it names whom it was made
for.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from qmodel.cluster import ownership, parse
from qmodel.cluster.kinds import (
    CLAIM,
    DEPLOYMENT,
    ENDPOINTS,
    JOB,
    MODEL,
    NODE,
    POD,
    SERVICE,
    WRITTEN,
    Kind,
)
from qmodel.cluster.parse import Object
from qmodel.naming import DESIRED_ANNOTATION, MODEL_UID_LABEL, VERSION_ANNOTATION

Group = tuple[str, str]
"""Namespace, and what an object is looked up by within it."""

EVERYWHERE: Group = ("", "")
"""The group of objects that are not looked up by an owner."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    version: int
    """resourceVersion; larger is newer."""
    group: Group
    """The uid of the owner; for a server's pod, what `server_group` returns."""
    value: Any
    """As the planner sees it."""
    desired_hash: str = ""
    """Hash of the wish that it was last written for."""
    operator_version: str = ""
    """Version of the operator that last wrote it."""
    spec: Object | None = None
    """For drift detection; only of kinds that are applied again."""
    deleting: bool = False
    """Of a child: whether it only waits for its finalizers, and no longer counts as there."""
    owned: bool = False
    """Whether it goes with what owns it; only a volume may not."""
    held_by_creation: bool = False
    """Of kinds that are applied again: whether an apply removes nothing that its creation set; see
    `qmodel.cluster.ownership`."""
    running: str = ""
    """Of a pod: the container that runs now, whose log tells the progress."""

    def looks_like(self, other: "Entry") -> bool:
        """Whether neither planner nor drift detection sees a difference."""
        return _LOOKS(self) == _LOOKS(other)


_UNSEEN = ("version", "held_by_creation")
_LOOKS = attrgetter(*(field.name for field in fields(Entry) if field.name not in _UNSEEN))


def read(kind: Kind, body: Object) -> Entry | None:
    """Return the entry of an object, or None if it is none of ours."""
    meta = body["metadata"]
    group = _GROUPS[kind.name](body)
    value = _VALUES[kind.name](body) if group is not None else None
    if group is None or value is None:
        return None
    annotations = meta.get("annotations", {})
    return Entry(
        kind=kind,
        namespace=meta.get("namespace", ""),
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        group=group,
        value=value,
        desired_hash=annotations.get(DESIRED_ANNOTATION, ""),
        operator_version=annotations.get(VERSION_ANNOTATION, ""),
        spec=_applied_again(kind, body),
        deleting=kind.name in WRITTEN and "deletionTimestamp" in meta,
        owned=bool(meta.get("ownerReferences")),
        held_by_creation=kind in _APPLIED_AGAIN and ownership.is_held_by_creation(meta),
        running=parse.running_container(body) if kind is POD else "",
    )


def _applied_again(kind: Kind, body: Object) -> Object | None:
    """Return where drift is sought; which volume a claim was given is not ours to want."""
    if kind not in _APPLIED_AGAIN:
        return None
    spec: Object = body["spec"]
    return {name: spec[name] for name in spec if name != "volumeName"} if kind is CLAIM else spec


def server_group(deployment: Entry) -> Group:
    """Return what a Deployment's pods are looked up by."""
    return deployment.namespace, f"{deployment.group[1]}/{deployment.name}"


def is_job_pod(pod: Entry) -> bool:
    """Whether a pod belongs to a Job, not to a server."""
    return "/" not in pod.group[1]


def owner(kind: Kind, body: Object) -> str:
    """Return the uid of the model that a child belongs to, or nothing."""
    meta = body["metadata"]
    controller = _controller(meta)
    if controller.get("kind") == MODEL.name:
        return str(controller["uid"])
    if is_retained(kind, body):
        return str(meta["labels"][MODEL_UID_LABEL])
    return ""


def is_retained(kind: Kind, body: Object) -> bool:
    """Whether an object is a volume of ours that outlives the model that it was made for."""
    meta = body["metadata"]
    is_ours = MODEL_UID_LABEL in meta.get("labels", {})
    return kind is CLAIM and is_ours and not meta.get("ownerReferences")


def owner_in_words(body: Object) -> str:
    """Return whom an object belongs to, for a person to read."""
    owners = body["metadata"].get("ownerReferences")
    return f"{owners[0]['kind']} {owners[0]['name']}" if owners else "nobody in particular"


def _controller(meta: Object) -> Object:
    """Return the owner reference of the controller, or an empty one."""
    owners: list[Object] = meta.get("ownerReferences", [])
    return next((reference for reference in owners if reference.get("controller")), {})


def _everywhere(_: Object) -> Group:
    return EVERYWHERE


def _child(kind: Kind) -> Callable[[Object], Group | None]:
    """Return the grouping of a child's kind: by its model."""

    def group(body: Object) -> Group | None:
        uid = owner(kind, body)
        return (body["metadata"]["namespace"], uid) if uid else None

    return group


def _pod_group(body: Object) -> Group | None:
    """Group a Job's pod by the Job, a server's pod by model and Deployment."""
    meta = body["metadata"]
    labels, controller = meta.get("labels", {}), _controller(meta)
    if controller.get("kind") == JOB.name:
        return meta["namespace"], controller["uid"]
    if controller.get("kind") == "ReplicaSet":
        template = labels.get("pod-template-hash", "")
        deployment = controller["name"].removesuffix(f"-{template}")
        return meta["namespace"], f"{labels.get(MODEL_UID_LABEL)}/{deployment}"
    return None


def _endpoints_group(body: Object) -> Group | None:
    """Group endpoints by the Service that they are of."""
    controller = _controller(body["metadata"])
    is_of_service = controller.get("kind") == SERVICE.name
    return (body["metadata"]["namespace"], controller["uid"]) if is_of_service else None


_APPLIED_AGAIN = (DEPLOYMENT, SERVICE, CLAIM)

_GROUPS: dict[str, Callable[[Object], Group | None]] = {
    MODEL.name: _everywhere,
    NODE.name: _everywhere,
    JOB.name: _child(JOB),
    DEPLOYMENT.name: _child(DEPLOYMENT),
    SERVICE.name: _child(SERVICE),
    ENDPOINTS.name: _endpoints_group,
    CLAIM.name: _child(CLAIM),
    POD.name: _pod_group,
}

_VALUES: dict[str, Callable[[Object], object | None]] = {
    MODEL.name: parse.model,
    NODE.name: parse.node,
    JOB.name: parse.job,
    DEPLOYMENT.name: parse.deployment,
    SERVICE.name: parse.service,
    ENDPOINTS.name: parse.endpoints,
    CLAIM.name: parse.claim,
    POD.name: parse.pod,
}
