"""What the planner answers: plain values, no Kubernetes objects."""

from dataclasses import dataclass, field
from datetime import timedelta

from qmodel.api.placement import NodeSelector, Toleration
from qmodel.api.serving import AccessMode, EnvVar, PodTemplate
from qmodel.api.status import QuantizedModelStatus, Rollout
from qmodel.api.texts import TextSource
from qmodel.planner.containers import Container, Step
from qmodel.planner.installation import ConfigMapFile
from qmodel.worker.task import Task


@dataclass(frozen=True, slots=True)
class Accelerators:
    """GPUs that a pod asks for."""

    resource_name: str
    count: int


@dataclass(frozen=True, slots=True)
class WantContainer:
    """One container of a Job."""

    name: Container
    image: str
    task: Task
    memory_bytes: int
    """Request and limit."""
    cpu: str
    """Request."""


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """Keys of a Secret, mounted as files; those that it lacks are left out."""

    secret: str
    files: dict[str, str]
    """File name by key."""


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """What the steps that read a source are given to reach it; no other step sees any of it."""

    claim: str | None = None
    """The user's claim, mounted read-only at /source."""
    credentials: SecretFiles | None = None
    """Mounted at /credentials."""
    ca_bundle: ConfigMapFile | None = None
    """Mounted at /certificates."""
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WantJob:
    """One attempt at a step. All containers but the last run first, one after another."""

    name: str
    step: Step
    key: str
    attempt: int
    revision: str
    containers: tuple[WantContainer, ...]
    timeout_seconds: int
    claim_name: str | None = None
    """The model's volume, mounted at /artifacts."""
    on_one_node: bool = True
    """Whether one node only can mount it, so that all pods which mount it share one."""
    source: SourceAccess | None = None
    calibration: TextSource | None = None
    """Mounted at /text/calibration/text."""
    evaluation: TextSource | None = None
    """Mounted at /text/evaluation/text."""
    accelerators: Accelerators | None = None
    node_selector: NodeSelector = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    env: tuple[EnvVar, ...] = ()
    """The user's environment of the engine, where the step runs it."""
    engine_env: dict[str, str] = field(default_factory=dict)
    """What the operator gives the engine."""
    shared_memory_bytes: int = 0
    """What /dev/shm must hold, where processes of the step share memory; it counts as memory."""
    pod_template: PodTemplate | None = None
    """What else of the user's the pod carries, besides the node selector and tolerations."""
    result_key: str = ""
    """Hash of what its result depends on, which is less than what its key is made of."""
    evaluation_key: str = ""
    """Hash of what it evaluates on."""
    pod_key: str = ""
    """Hash of where its pod may run, and with what."""


@dataclass(frozen=True, slots=True)
class WantClaim:
    """The model's own volume."""

    name: str
    size_bytes: int
    storage_class_name: str | None
    access_mode: AccessMode
    owned: bool
    """False: it stays when the model goes."""


@dataclass(frozen=True, slots=True)
class WantDeployment:
    """The servers of one revision."""

    name: str
    rollout: Rollout
    replicas: int


@dataclass(frozen=True, slots=True)
class WantService:
    """The model's one address, which sends requests to one revision."""

    name: str
    revision: str


@dataclass(frozen=True, slots=True)
class Remove:
    """A child that has served its purpose; removed only if it still has this uid."""

    kind: str
    name: str
    uid: str


Wish = WantJob | WantClaim | WantDeployment | WantService | Remove


@dataclass(frozen=True, slots=True)
class Announcement:
    """A Kubernetes Event: one transition that people want to see."""

    type: str
    """Normal or Warning."""
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now: apply the wishes, write the status, wake up again."""

    wishes: tuple[Wish, ...]
    status: QuantizedModelStatus
    announcements: tuple[Announcement, ...] = ()
    requeue_after: timedelta | None = None
