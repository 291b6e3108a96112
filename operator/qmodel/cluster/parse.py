"""From objects as the API server sends them to the plain values that the planner reads.

What a kubelet or a controller writes is trusted in form (the API server checked it); what comes out
of a container, the termination message, is not: it is parsed strictly, or kept as a short text.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from qmodel.api.quantities import bytes_of
from qmodel.api.resource import QuantizedModel
from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import QuantizedModelStatus
from qmodel.naming import (
    ATTEMPT_LABEL,
    EVALUATION_ANNOTATION,
    KEY_LABEL,
    POD_ANNOTATION,
    RESULT_ANNOTATION,
    REVISION_LABEL,
    STEP_LABEL,
)
from qmodel.planner.containers import OWN_CONTAINERS, SERVER_CONTAINER, Step
from qmodel.planner.observed import (
    ContainerResult,
    InvalidModel,
    JobState,
    Node,
    ObservedClaim,
    ObservedDeployment,
    ObservedJob,
    ObservedPod,
    ObservedService,
)
from qmodel.worker.report import ProgressLine, Report

Object = dict[str, Any]
"""A Kubernetes object as JSON."""

MAX_MESSAGE_CHARACTERS = 1024
"""Longest termination message that is kept of a container without a report."""

MAX_LINE_CHARACTERS = 1024
"""Longest line of a log that can be progress."""

MAX_NUMBER = 2**53
"""Largest number of a report: exact in every reader of JSON, and as many bytes are 8 PiB."""

_STEPS = frozenset(Step)

_STARTING = ("PodInitializing", "ContainerCreating")
"""Reasons to wait while a container is being started."""

_PULL_FAILED, _PULL_AWAITED = "ErrImagePull", "ImagePullBackOff"
"""Reasons that alternate while an image cannot be pulled; the second's message quotes the first's.
They are told as one, or every try would rewrite the status."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Some of the servers that a Service sends requests to."""

    revision: str
    ready: bool
    """Whether at least one of them takes requests."""


def model(body: Object) -> QuantizedModel | InvalidModel:
    """Return a QuantizedModel, or what is wrong with it."""
    known = {**identity(body["metadata"]), "status": stored_status(body.get("status", {}))}
    try:
        spec = QuantizedModelSpec.model_validate(body.get("spec"))
    except ValidationError as error:
        return InvalidModel(**known, problems=tuple(problems(error, "spec")))
    return QuantizedModel(**known, spec=spec)


def identity(meta: Object) -> dict[str, Any]:
    """Return which QuantizedModel this is, at which generation, and whether it goes."""
    return {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "uid": meta["uid"],
        "generation": meta["generation"],
        "deleting": "deletionTimestamp" in meta,
    }


def stored_status(status: Object) -> QuantizedModelStatus:
    """Return a status that any version of the operator wrote.

    Fields that this version does not know are dropped. A status that says something else by a name
    that it knows is no ground to act on: the planner starts from nothing and finds what exists.
    """
    try:
        return QuantizedModelStatus.model_validate(status, extra="ignore")
    except ValidationError:
        return QuantizedModelStatus()


def problems(error: ValidationError, *within: str) -> Iterator[str]:
    """Yield each refused field as users write it, and why; `within` are the fields around it."""
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        field = ".".join(str(part) for part in (*within, *problem["loc"]))
        yield f"{field}: {problem['msg']}"


def job(body: Object) -> ObservedJob | None:
    """Return a Job of ours; None if its labels do not say which step it is."""
    meta, status = body["metadata"], body.get("status", {})
    labels, notes = meta.get("labels", {}), meta.get("annotations", {})
    step, attempt = labels.get(STEP_LABEL), labels.get(ATTEMPT_LABEL, "")
    if step not in _STEPS or not attempt.isdigit():
        return None
    state, end = _job_end(status)
    return ObservedJob(
        name=meta["name"],
        uid=meta["uid"],
        step=Step(step),
        key=labels.get(KEY_LABEL, ""),
        attempt=int(attempt),
        state=state,
        created=time(meta["creationTimestamp"]),
        finished=time(end["lastTransitionTime"]) if end else None,
        failed_reason=end.get("reason", "") if state is JobState.FAILED else "",
        failed_message=_cut(end.get("message", "")) if state is JobState.FAILED else "",
        images=_images(body),
        timeout_seconds=body["spec"].get("activeDeadlineSeconds"),
        result_key=notes.get(RESULT_ANNOTATION, ""),
        evaluation_key=notes.get(EVALUATION_ANNOTATION, ""),
        pod_key=notes.get(POD_ANNOTATION, ""),
    )


def _images(body: Object) -> tuple[str, ...]:
    """Return what our containers of a Job's pod run in, in the order in which they run."""
    pod = body["spec"]["template"].get("spec", {})
    containers = (*pod.get("initContainers", ()), *pod.get("containers", ()))
    return tuple(container["image"] for container in containers if _is_ours(container))


def _job_end(status: Object) -> tuple[JobState, Object]:
    """Return the state of a Job and the condition that ended it."""
    for condition in status.get("conditions", ()):
        if condition["status"] == "True" and condition["type"] in (
            JobState.COMPLETE,
            JobState.FAILED,
        ):
            return JobState(condition["type"]), condition
    return JobState.ACTIVE, {}


def pod(body: Object) -> ObservedPod:
    """Return a pod with the results of the containers that ended."""
    meta, status = body["metadata"], body.get("status", {})
    containers = [
        *status.get("initContainerStatuses", ()),
        *status.get("containerStatuses", ()),
    ]
    waiting = next(_waiting(containers), {})
    return ObservedPod(
        name=meta["name"],
        uid=meta["uid"],
        phase=status.get("phase", "Pending"),
        created=time(meta["creationTimestamp"]),
        results=tuple(_results([c for c in containers if _is_ours(c)])),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=_cut(waiting.get("message", "")),
        unschedulable=_unschedulable(status),
        starting_since=_starting_since(body, containers),
        pod_reason=status.get("reason", ""),
        pod_message=_cut(status.get("message", "")),
        server_memory_bytes=_server_memory_bytes(body),
    )


def _server_memory_bytes(body: Object) -> int:
    """Return the memory limit of the server in a pod; 0 if there is none."""
    containers = body["spec"].get("containers", ())
    server: Object = next((c for c in containers if c["name"] == SERVER_CONTAINER), {})
    limit = server.get("resources", {}).get("limits", {}).get("memory")
    return 0 if limit is None else bytes_of(limit)


def _is_ours(container: Object) -> bool:
    """Whether a container is one that we asked for."""
    return container["name"] in OWN_CONTAINERS


def _waiting(containers: list[Object]) -> Iterator[Object]:
    """Yield why containers wait that do not start by themselves."""
    for container in containers:
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason", _STARTING[0]) not in _STARTING:
            yield _of_any_try(waiting)


def _of_any_try(waiting: Object) -> Object:
    """Return why a container waits, as it is during a try to pull its image and between two."""
    if waiting["reason"] not in (_PULL_FAILED, _PULL_AWAITED):
        return waiting
    told = waiting.get("message", "")
    return {"reason": _PULL_AWAITED, "message": told.partition(f"{_PULL_FAILED}: ")[2] or told}


def _starting_since(body: Object, containers: list[Object]) -> datetime | None:
    """Return since when a pod's first container is awaited, unless one has run or is in trouble."""
    meta, status = body["metadata"], body.get("status", {})
    if status.get("phase", "Pending") != "Pending" or not all(map(_is_starting, containers)):
        return None
    scheduled = _condition(status, "PodScheduled")
    placed = scheduled.get("lastTransitionTime") if scheduled.get("status") == "True" else None
    return time(placed or meta["creationTimestamp"])


def _is_starting(container: Object) -> bool:
    """Whether a container is being started for the first time, as far as its kubelet says."""
    state = container.get("state") or {"waiting": {"reason": _STARTING[0]}}
    return state.get("waiting", {}).get("reason") in _STARTING


def _condition(status: Object, kind: str) -> Object:
    """Return the condition of that type, or an empty one."""
    return next((c for c in status.get("conditions", ()) if c["type"] == kind), {})


def _results(containers: list[Object]) -> Iterator[ContainerResult]:
    """Yield how containers ended; a server's restart is told by its last state.

    A kubelet keeps the last state for as long as the pod lives: once the server is ready again, it
    tells of trouble that is over.
    """
    for container in containers:
        last = {} if container.get("ready") else container.get("lastState", {})
        ended = container.get("state", {}).get("terminated") or last.get("terminated")
        if ended:
            message = ended.get("message", "")
            report = read_report(message)
            yield ContainerResult(
                name=container["name"],
                exit_code=ended["exitCode"],
                reason=ended.get("reason", ""),
                report=report,
                message="" if report else _cut_front(message),
            )


@lru_cache(maxsize=512)  # a pod that ended is heard of several times more
def read_report(message: str) -> Report | None:
    """Return the report that a container left, or None if its message is something else."""
    try:
        return Report.model_validate(
            json.loads(message, parse_int=_number, parse_float=_number, parse_constant=_number)
        )
    except (ValueError, RecursionError):
        return None


def progress_line(line: bytes) -> ProgressLine | None:
    """Return the progress that a line of a log tells; None if it tells none."""
    if len(line) > MAX_LINE_CHARACTERS or not line.startswith(b"{"):
        return None
    try:
        return ProgressLine.model_validate_json(line)
    except ValidationError:
        return None


def _number(text: str) -> float:
    """Return a number that can be calculated with; without a bound, arithmetic overflows."""
    value = int(text) if text.lstrip("-").isdigit() else float(text)
    if not abs(value) <= MAX_NUMBER:
        message = f"{text[:MAX_MESSAGE_CHARACTERS]} is no number of a report"
        raise ValueError(message)
    return value


def _unschedulable(status: Object) -> str:
    """Return the scheduler's message while no node fits."""
    condition = _condition(status, "PodScheduled")
    return _cut(condition.get("message", "")) if condition.get("reason") == "Unschedulable" else ""


def running_container(body: Object) -> str:
    """Return the name of the first container of ours that runs in a pod, or nothing."""
    status = body.get("status", {})
    containers = [
        *status.get("initContainerStatuses", ()),
        *status.get("containerStatuses", ()),
    ]
    running = (c["name"] for c in containers if "running" in c.get("state", {}) and _is_ours(c))
    return next(running, "")


def deployment(body: Object) -> ObservedDeployment:
    """Return the servers of one revision."""
    meta, status = body["metadata"], body.get("status", {})
    return ObservedDeployment(
        name=meta["name"],
        uid=meta["uid"],
        revision=meta.get("labels", {}).get(REVISION_LABEL, ""),
        replicas=status.get("replicas", 0),
        ready_replicas=status.get("readyReplicas", 0),
        available=_is_rolled_out(body),
        failed_create=_failed_create(status),
    )


def _failed_create(status: Object) -> str:
    """Return why a pod cannot be made; the condition goes once all of them are."""
    failure = _condition(status, "ReplicaFailure")
    is_told = failure.get("status") == "True" and failure.get("reason") == "FailedCreate"
    return _cut(failure.get("message", "")) if is_told else ""


def _is_rolled_out(body: Object) -> bool:
    """Whether every wanted server runs the current template, is available, and no old one is left.

    The questions of `kubectl rollout status`.
    """
    wanted = body["spec"].get("replicas", 1)
    status = body.get("status", {})
    return bool(
        status.get("observedGeneration", 0) >= body["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) >= wanted
    )


def service(body: Object) -> ObservedService:
    """Return a model's address and the revision that it sends requests to."""
    meta = body["metadata"]
    selector = body.get("spec", {}).get("selector", {})
    return ObservedService(
        name=meta["name"], uid=meta["uid"], revision=selector.get(REVISION_LABEL, "")
    )


def endpoints(body: Object) -> Endpoints:
    """Return where a Service sends requests; the controller copies the Service's labels."""
    return Endpoints(
        revision=body["metadata"].get("labels", {}).get(REVISION_LABEL, ""),
        ready=any(_is_ready(endpoint) for endpoint in body.get("endpoints") or ()),
    )


def _is_ready(endpoint: Object) -> bool:
    """Whether requests are sent there; what is not said counts as ready, as Kubernetes has it."""
    return endpoint.get("conditions", {}).get("ready") is not False


def claim(body: Object) -> ObservedClaim:
    """Return a volume's claim; one that is not bound has no capacity yet, and does not grow."""
    meta = body["metadata"]
    asked = body["spec"]["resources"]["requests"]["storage"]
    has = body.get("status", {}).get("capacity", {}).get("storage", asked)
    return ObservedClaim(
        name=meta["name"],
        uid=meta["uid"],
        size_bytes=bytes_of(asked),
        capacity_bytes=bytes_of(has),
    )


def node(body: Object) -> Node:
    """Return a node as far as choosing an accelerator needs it."""
    return Node(
        name=body["metadata"]["name"],
        labels=body["metadata"].get("labels", {}),
        allocatable=body.get("status", {}).get("allocatable", {}),
        schedulable=not body.get("spec", {}).get("unschedulable", False),
    )


def time(text: str) -> datetime:
    """Return a Kubernetes timestamp as an aware datetime."""
    return datetime.fromisoformat(text)


def _cut(text: str) -> str:
    """Return the first part of a message."""
    return text[:MAX_MESSAGE_CHARACTERS]


def _cut_front(text: str) -> str:
    """Return the last part of a container's output, where the error stands."""
    return text[-MAX_MESSAGE_CHARACTERS:]
