"""What the planner sees and what it answers: plain values, no Kubernetes objects."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from qmodel.api.placement import NodeSelector, Toleration
from qmodel.api.serving import AccessMode, EnvVar, PodTemplate
from qmodel.api.status import QuantizedModelStatus, Rollout
from qmodel.api.texts import TextSource
from qmodel.worker.report import Report
from qmodel.worker.task import Task


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


class Step(StrEnum):
    """Work done by Jobs. `quantize` evaluates too: two containers of one pod."""

    INSPECT = "inspect"
    FETCH = "fetch"
    QUANTIZE = "quantize"
    MEASURE = "measure"


class Container(StrEnum):
    """Containers of the Jobs; each carries out the task of its name."""

    INSPECT = "inspect"
    FETCH = "fetch"
    QUANTIZE = "quantize"
    EVALUATE = "evaluate"
    MEASURE = "measure"


SERVER_CONTAINER = "server"
"""Of a server's pod: what serves."""
VERIFY_CONTAINER = "verify"
"""Of a server's pod: what checks the artifact first."""
OWN_CONTAINERS = frozenset({*Container, SERVER_CONTAINER, VERIFY_CONTAINER})
"""All of ours; others, such as a mesh's proxy, are injected and say nothing about a step."""


@dataclass(frozen=True, slots=True)
class Images:
    """Images of this installation."""

    operator: str
    """Runs inspect and fetch."""
    llamacpp: str
    """Serves and measures GGUF."""
    llamacpp_cuda: str
    """The same on NVIDIA GPUs."""
    llamacpp_worker: str
    """Quantizes to GGUF and evaluates it; takes sources as they are."""
    quantizer: str
    """Quantizes by llm-compressor and bitsandbytes; evaluates what is not GGUF."""
    autoawq: str
    """Quantizes by AutoAWQ."""
    autogptq: str
    """Quantizes by AutoGPTQ."""
    vllm: str
    """Serves and measures by vLLM on a CPU."""
    vllm_cuda: str
    """The same on NVIDIA GPUs."""

    def named(self, name: str) -> str:
        """Return an image by the name of its field; empty where the installation has none."""
        return str(getattr(self, name))


@dataclass(frozen=True, slots=True)
class ConfigMapFile:
    """A key of a ConfigMap, mounted as a file."""

    config_map: str
    key: str


@dataclass(frozen=True, slots=True)
class Installation:
    """What the administrator set for all models."""

    images: Images
    hub_endpoint: str
    """The only Hugging Face endpoint that tokens are sent to."""
    hub_allow_insecure: bool = False
    """Whether an http endpoint may be used."""
    sources_allow_insecure: bool = False
    """Whether S3 endpoints and registries may be http."""
    source_env: dict[str, str] = field(default_factory=dict)
    """Environment of the steps that reach a source over the network, such as HTTPS_PROXY."""
    ca_bundle: ConfigMapFile | None = None
    """Certificates that these steps trust; the ConfigMap lies in each model's namespace."""


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
