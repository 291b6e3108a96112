"""What the planner sees: plain values, no Kubernetes objects."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from qmodel.api.status import QuantizedModelStatus
from qmodel.planner.containers import Step
from qmodel.planner.installation import Installation
from qmodel.worker.report import Report


@dataclass(frozen=True, slots=True)
class InvalidModel:
    """A resource whose spec the schema let pass, but the models of `qmodel.api` refuse."""

    name: str
    namespace: str
    uid: str
    generation: int
    deleting: bool
    problems: tuple[str, ...]
    """Field and what is wrong with it."""
    status: QuantizedModelStatus


@dataclass(frozen=True, slots=True)
class Node:
    """A node, as far as choosing an accelerator needs it."""

    name: str
    labels: dict[str, str]
    allocatable: dict[str, str]
    schedulable: bool = True


class JobState(StrEnum):
    """Where a Job stands."""

    ACTIVE = "Active"
    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class ContainerResult:
    """How a container of a pod ended."""

    name: str
    exit_code: int
    reason: str
    """The kubelet's word, such as Completed, Error, OOMKilled."""
    report: Report | None
    """The termination message, where it is a report."""
    message: str = ""
    """The termination message or last log lines, where it is not."""


@dataclass(frozen=True, slots=True)
class ObservedPod:
    """A pod of a Job of ours, or of a server."""

    name: str
    uid: str
    phase: str
    created: datetime
    results: tuple[ContainerResult, ...] = ()
    """Containers that ended and are not ready again, init containers first."""
    waiting_reason: str = ""
    """Why a container does not start, such as ImagePullBackOff."""
    waiting_message: str = ""
    unschedulable: str = ""
    """The scheduler's message, while no node fits."""
    starting_since: datetime | None = None
    """When it was given a node (before that: made), until a container has run or is in trouble."""
    pod_reason: str = ""
    """Why the pod failed as a whole, such as Evicted."""
    pod_message: str = ""
    server_memory_bytes: int = 0
    """Memory limit of the server in it; 0 where there is none."""

    def result(self, container: str) -> ContainerResult | None:
        """Return how that container ended, if it did."""
        return next((r for r in self.results if r.name == container), None)


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """A Job that this model owns, with its pod."""

    name: str
    uid: str
    step: Step
    key: str
    attempt: int
    state: JobState
    created: datetime
    finished: datetime | None = None
    failed_reason: str = ""
    """The Job controller's word, such as DeadlineExceeded."""
    failed_message: str = ""
    pod: ObservedPod | None = None
    """Only a pod whose owner is this Job."""
    progress_percent: int | None = None
    images: tuple[str, ...] = ()
    """What its containers run in, init containers first; an upgrade does not change them."""
    timeout_seconds: int | None = None
    """How long it may run."""
    result_key: str = ""
    """As in the wish that it was made for, like the next two; empty: an older release made it."""
    evaluation_key: str = ""
    pod_key: str = ""


@dataclass(frozen=True, slots=True)
class ObservedDeployment:
    """A Deployment that this model owns."""

    name: str
    uid: str
    revision: str
    replicas: int
    """Servers that exist."""
    ready_replicas: int
    available: bool
    """Whether the wanted servers of the current template are available."""
    failed_create: str = ""
    """Why its controller cannot make a pod, such as a full quota."""
    pods: tuple[ObservedPod, ...] = ()


@dataclass(frozen=True, slots=True)
class ObservedService:
    """The Service that this model owns."""

    name: str
    uid: str
    revision: str
    answers: bool = False
    """Whether requests to it reach a server of that revision."""


@dataclass(frozen=True, slots=True)
class ObservedClaim:
    """The PersistentVolumeClaim that this model uses."""

    name: str
    uid: str
    size_bytes: int
    """What is asked for."""
    capacity_bytes: int
    """What it has; less while it grows."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A child that the last pass could not write; the API server's own words."""

    kind: str
    name: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Observed:
    """The world around one model, as the store holds it."""

    installation: Installation
    jobs: tuple[ObservedJob, ...] = ()
    deployments: tuple[ObservedDeployment, ...] = ()
    service: ObservedService | None = None
    claim: ObservedClaim | None = None
    nodes: tuple[Node, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    def deployment(self, revision: str | None) -> ObservedDeployment | None:
        """Return the Deployment of that revision."""
        return next((d for d in self.deployments if d.revision == revision), None)
