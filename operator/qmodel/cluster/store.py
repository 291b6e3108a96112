"""What is known of the cluster, kept as the values that the planner reads.

Watches and the answers to our own writes feed it; observing a model asks the API server nothing.
Older news about an object than what is known is ignored (resourceVersions compare as integers), and
so is news about an object that is known to be gone: a late answer must not bring it back.

Every change returns the uids of the models that should be looked at again: none if the planner
would see no difference.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from qmodel.api.conditions import ConditionStatus, ConditionType
from qmodel.api.resource import QuantizedModel
from qmodel.api.status import QuantizedModelStatus
from qmodel.cluster import entries
from qmodel.cluster.entries import EVERYWHERE, Entry, Group, server_group
from qmodel.cluster.kinds import (
    CLAIM,
    DEPLOYMENT,
    ENDPOINTS,
    JOB,
    MODEL,
    NODE,
    POD,
    SERVICE,
    Kind,
    Scope,
)
from qmodel.cluster.parse import Endpoints, Object
from qmodel.naming import child_name, volume_name
from qmodel.planner.installation import Installation
from qmodel.planner.observed import (
    InvalidModel,
    JobState,
    Node,
    Observed,
    ObservedDeployment,
    ObservedJob,
    ObservedPod,
    ObservedService,
    Refusal,
)

GONE_KEPT = 4096
"""Deleted objects that are remembered against late answers."""

_ENDED = ("Succeeded", "Failed")

Model = QuantizedModel | InvalidModel
Keys = set[str]
"""Uids of models."""


class Store:
    """Everything that is observed, indexed by model.

    Parameters
    ----------
    installation
        Passed on to the planner with every model.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._entries: dict[str, Entry] = {}
        self._groups: defaultdict[tuple[str, Group], dict[str, Entry]] = defaultdict(dict)
        self._gone: OrderedDict[str, int] = OrderedDict()
        """Version at which an object was deleted, or left the watch by losing its label."""
        self._progress: dict[str, int] = {}
        self._nodes: tuple[Node, ...] | None = None
        self._writing: dict[str, QuantizedModelStatus] = {}
        """Statuses that are on their way to the API server, by model."""

    def put(self, kind: Kind, body: Object) -> Keys:
        """Take in an object as it now is."""
        uid, version = body["metadata"]["uid"], int(body["metadata"]["resourceVersion"])
        known = self._entries.get(uid)
        newest = known.version if known is not None else self._gone.get(uid, -1)
        if version <= newest:
            return set()
        entry = entries.read(kind, body)
        if entry is None:
            return self._remove(known) if known else set()
        return self._set(entry, known)

    def drop(self, uid: str, version: int) -> Keys:
        """Take in that an object was gone at `version`."""
        self._gone[uid] = version
        if len(self._gone) > GONE_KEPT:
            self._gone.popitem(last=False)
        known = self._entries.get(uid)
        return self._remove(known) if known else set()

    def forget(self, uid: str) -> None:
        """Take in that an object is no longer what was observed, as a write to it found."""
        known = self._entries.get(uid)
        if known is not None:
            self.drop(uid, known.version)

    def missing(self, scope: Scope, uids: set[str], version: int) -> list[str]:
        """Return what is gone if a list at `version` held only `uids`: all else that is older."""
        return [
            entry.uid
            for entry in self._entries.values()
            if entry.kind is scope.kind
            and scope.namespace in (None, entry.namespace)
            and entry.version <= version
            and entry.uid not in uids
        ]

    @contextmanager
    def writing_status(self, uid: str, status: QuantizedModelStatus) -> Iterator[None]:
        """Know our own status if its event comes before the answer: it is no news to anybody."""
        self._writing[uid] = status
        try:
            yield
        finally:
            del self._writing[uid]

    def wrote_status(self, uid: str, status: QuantizedModelStatus, answer: Object) -> None:
        """Take in the answer to our own status write, so that nothing is planned on the old one."""
        known = self._entries.get(uid)
        if known is None:
            return
        version = int(answer["metadata"]["resourceVersion"])
        if version > known.version:
            value = _with_status(known.value, status)
            self._set(replace(known, version=version, value=value), known)

    def progress(self, job_uid: str, percent: int) -> Keys:
        """Take in how far a Job is."""
        entry = self._entries.get(job_uid)
        if entry is None:
            return set()
        self._progress[job_uid] = percent
        return self._concerned(entry)

    def model(self, uid: str) -> Model | None:
        """Return a model by its uid."""
        entry = self._entries.get(uid)
        return entry.value if entry is not None and entry.kind is MODEL else None

    def is_ready(self, uid: str) -> bool:
        """Whether a model serves what its spec asks for now, as far as its status says."""
        model = self.model(uid)
        ready = None if model is None else model.status.condition(ConditionType.READY)
        return (
            model is not None
            and ready is not None
            and ready.status is ConditionStatus.TRUE
            and ready.observed_generation == model.generation
        )

    def models(self) -> list[Model]:
        """Return all models."""
        return [entry.value for entry in self._of(MODEL, EVERYWHERE)]

    def child(self, model: Model, kind: Kind, name: str) -> Entry | None:
        """Return what is known of a model's child."""
        children = self._of(kind, (model.namespace, model.uid))
        return next((entry for entry in children if entry.name == name), None)

    def observed(self, model: Model, refusals: tuple[Refusal, ...] = ()) -> Observed:
        """Return the world around one model.

        A copy of a Service or claim that someone made keeps labels and owner: ours has the name
        that we give it.
        """
        group = (model.namespace, model.uid)
        services = self._named(SERVICE, group, child_name(model.name))
        claims = self._named(CLAIM, group, volume_name(model.name))
        return Observed(
            installation=self._installation,
            jobs=tuple(map(self._with_pod, self._there(JOB, group))),
            deployments=tuple(map(self._with_pods, self._there(DEPLOYMENT, group))),
            service=next(map(self._with_endpoints, services), None),
            claim=next((entry.value for entry in claims), None),
            nodes=self._inventory(),
            refusals=refusals,
        )

    def entry(self, uid: str) -> Entry | None:
        """Return any object by its uid."""
        return self._entries.get(uid)

    def has_pod(self, namespace: str, job_uid: str) -> bool:
        """Whether a pod of a Job is known."""
        return bool(self._of(POD, (namespace, job_uid)))

    def _there(self, kind: Kind, group: Group) -> list[Entry]:
        """Return the objects of a group that are not being deleted, by name."""
        return [entry for entry in self._of(kind, group) if not entry.deleting]

    def _named(self, kind: Kind, group: Group, name: str) -> list[Entry]:
        """Return the object of a group that has that name and is not being deleted."""
        return [entry for entry in self._there(kind, group) if entry.name == name]

    def _of(self, kind: Kind, group: Group) -> list[Entry]:
        """Return the objects of a group, by name."""
        found = self._groups.get((kind.name, group), {})
        return sorted(found.values(), key=lambda entry: entry.name)

    def _with_pod(self, entry: Entry) -> ObservedJob:
        """Return a Job with its newest pod and its progress.

        A Job's end can be heard of before that of its pod, which another watch brings. Until the
        pod's is known too, and with it the report, the Job counts as running.
        """
        job: ObservedJob = entry.value
        pods: list[ObservedPod] = [e.value for e in self._of(POD, (entry.namespace, entry.uid))]
        newest = max(pods, key=lambda pod: pod.created, default=None)
        is_pod_running = newest is not None and newest.phase not in _ENDED
        state = JobState.ACTIVE if is_pod_running else job.state
        percent = self._progress.get(entry.uid)
        return replace(job, state=state, pod=newest, progress_percent=percent)

    def _with_pods(self, entry: Entry) -> ObservedDeployment:
        """Return a Deployment with its pods."""
        deployment: ObservedDeployment = entry.value
        return replace(deployment, pods=tuple(e.value for e in self._of(POD, server_group(entry))))

    def _with_endpoints(self, entry: Entry) -> ObservedService:
        """Return a Service, and whether it sends requests to a server of its revision yet.

        A Deployment's servers are available before the endpoints' controller has heard of it.
        """
        service: ObservedService = entry.value
        wanted = Endpoints(service.revision, ready=True)
        endpoints = self._of(ENDPOINTS, (entry.namespace, entry.uid))
        return replace(service, answers=any(e.value == wanted for e in endpoints))

    def _inventory(self) -> tuple[Node, ...]:
        """Return all nodes, by name."""
        if self._nodes is None:
            self._nodes = tuple(entry.value for entry in self._of(NODE, EVERYWHERE))
        return self._nodes

    def _set(self, entry: Entry, known: Entry | None) -> Keys:
        """Replace what is known of an object."""
        if known is not None and known.group != entry.group:
            self._forget(known)
        self._entries[entry.uid] = entry
        self._groups[entry.kind.name, entry.group][entry.uid] = entry
        if known is not None and (known.looks_like(entry) or self._is_our_write(entry, known)):
            return set()
        if not self._is_news(entry, known):
            return set()
        if entry.kind is NODE:
            self._nodes = None
        return self._concerned(entry)

    def _remove(self, entry: Entry) -> Keys:
        """Forget an object and say whom that concerns."""
        concerned = self._concerned(entry)
        self._forget(entry)
        if entry.kind is POD and not self._is_awaited(entry):
            return set()
        if entry.kind is NODE:
            self._nodes = None
        return concerned

    def _is_our_write(self, entry: Entry, known: Entry) -> bool:
        """Whether all that changed of a model is the status that is being written."""
        status = self._writing.get(entry.uid)
        return status is not None and bool(_with_status(known.value, status) == entry.value)

    def _is_news(self, entry: Entry, known: Entry | None) -> bool:
        """Whether what changed of an object can change a plan.

        Of a pod: that it got into trouble or out of it, or that its end was waited for. That it was
        made, scheduled and started says nothing that its Job or Deployment does not: to plan then
        would be half of all passes. New endpoints without a ready server are as good as none.
        """
        if entry.kind is ENDPOINTS:
            return known is not None or bool(entry.value.ready)
        if entry.kind is not POD:
            return True
        before = () if known is None else _trouble(known.value)
        return self._is_awaited(entry) or _trouble(entry.value) != before

    def _is_awaited(self, pod: Entry) -> bool:
        """Whether the Job of a pod was heard to have ended before the pod was."""
        job = self._entries.get(pod.group[1])
        return job is not None and job.value.state is not JobState.ACTIVE

    def _forget(self, entry: Entry) -> None:
        """Remove an object from all indices."""
        self._entries.pop(entry.uid, None)
        self._progress.pop(entry.uid, None)
        group = self._groups[entry.kind.name, entry.group]
        group.pop(entry.uid, None)
        if not group:
            del self._groups[entry.kind.name, entry.group]

    def _concerned(self, entry: Entry) -> Keys:
        """Return the models that a changed object matters to."""
        if entry.kind is MODEL:
            return {entry.uid}
        if entry.kind is NODE:
            return {m.uid for m in self.models() if not m.status.is_true(ConditionType.READY)}
        if entry.kind is POD:
            job = self._entries.get(entry.group[1])
            return {job.group[1] if job is not None else entry.group[1].partition("/")[0]}
        if entry.kind is ENDPOINTS:
            service = self._entries.get(entry.group[1])
            return {service.group[1]} if service is not None else set()
        return {entry.group[1]}


def _trouble(pod: ObservedPod) -> tuple[object, ...]:
    """Return what is wrong with a pod; nothing for a healthy one."""
    failed = tuple(result for result in pod.results if result.exit_code)
    found = (pod.unschedulable, pod.waiting_reason, pod.waiting_message, pod.pod_reason, failed)
    return found if any(found) else ()


def _with_status(value: Model, status: QuantizedModelStatus) -> Model:
    """Return a model with another status."""
    if isinstance(value, InvalidModel):
        return replace(value, status=status)
    return value.model_copy(update={"status": status})
