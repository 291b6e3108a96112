"""`status`: what was found, made, measured and decided.

Each block names what it speaks of (`key`, `revision`), so that a planner that
starts from nothing but spec and status knows which of them still hold.
"""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from qmodel.api.base import ApiModel
from qmodel.api.conditions import Condition, ConditionStatus, ConditionType
from qmodel.api.placement import NodeSelector, Tolerations
from qmodel.api.quality import QualityBounds
from qmodel.api.serving import AcceleratorType, Engine, EnvVar, PodTemplate
from qmodel.worker.report import Artifact, Footprint, Inspection


class SourceStatus(Inspection):
    """The resolved source."""

    key: str
    """Hash of the part of spec that this was resolved from."""


class FetchedStatus(ApiModel):
    """The source files on the volume."""

    source_digest: str
    """Which source."""
    bytes: PositiveInt
    files: PositiveInt


class ArtifactStatus(Artifact):
    """The artifact of a revision."""

    revision: str


class EvaluationStatus(ApiModel):
    """Quality against the unquantized source; decimals are strings."""

    revision: str
    key: str
    """Hash of what was evaluated on."""
    applicable: bool = True
    """False where the source is served as it is: nothing to compare."""
    base_perplexity: str | None = None
    perplexity: str | None = None
    perplexity_ratio: str | None = None
    perplexity_ratio_error: str | None = None
    mean_kl_divergence: str | None = None
    mean_kl_divergence_error: str | None = None
    top_token_agreement: str | None = None
    top_token_agreement_error: str | None = None
    tokens: int | None = None
    text: str | None = None
    text_digest: str | None = None
    seconds: float | None = None


class FootprintStatus(Footprint):
    """Measured memory of a revision."""

    revision: str
    image: str
    """Image that it was measured in, and that serves."""
    engine: Engine
    argv: list[str]
    """Command line that it was measured with, and that serves but for its context."""
    engine_env: dict[str, str] = Field(default_factory=dict)
    """Environment of the engine that it was measured with, besides the user's."""
    key: str
    """Hash of the part of spec, and the accelerator, that it was measured for."""
    node_selector: NodeSelector | None = None
    """`spec.accelerator.nodeSelector` that it was measured for; absent: on a CPU, or not noted."""
    estimated_peak_bytes: PositiveInt
    """What was expected before it was measured, so that the error is on record."""
    estimated_device_bytes: NonNegativeInt | None = None
    """The same of its GPUs together; absent on a CPU."""


class AcceleratorStatus(ApiModel):
    """The accelerator that was chosen."""

    key: str
    """Hash of the part of spec that this was chosen for."""
    type: AcceleratorType
    """GPU or CPU."""
    resource_name: str | None = None
    count: NonNegativeInt = 0
    node_selector: NodeSelector = Field(default_factory=dict)
    tolerations: Tolerations = Field(default_factory=list)
    revision: str | None = None
    """Revision that this was judged for."""
    load_key: str | None = None
    """Hash of the load that this was judged for."""
    memory_bytes: NonNegativeInt = 0
    """Memory of its GPUs together, as nodes published it; of a CPU, of the largest GPUs that were
    too small. 0: not known."""
    reason: str
    """Why, in words."""


class Sizing(ApiModel):
    """What one server is given."""

    context_length: PositiveInt
    concurrency: PositiveInt
    predicted_peak_bytes: PositiveInt
    """Measured peak, carried to the asked context and concurrency."""
    memory_bytes: PositiveInt
    """Memory request and limit: the prediction and its margin."""
    kv_bytes: NonNegativeInt
    cpu: str
    """CPU request."""
    gpu_layers: NonNegativeInt = 0
    """Layers offloaded (`-ngl`)."""
    device_bytes: NonNegativeInt = 0
    """What one server takes of its GPUs together: the measurement, carried likewise."""


class SizingStatus(Sizing):
    """What one server of the wanted revision is given."""

    key: str | None = None
    """Hash of what it was computed from."""


class Rollout(ApiModel):
    """Everything the server of a revision is built from, kept so that it can be rebuilt."""

    revision: str
    image: str
    """Image of the engine that this revision was measured and rolled out with."""
    engine: Engine
    claim_name: str
    on_one_node: bool = True
    """Whether one node only can mount that claim, so that all pods which mount it share one."""
    argv: list[str]
    """The server's whole command line."""
    engine_env: dict[str, str] = Field(default_factory=dict)
    """Environment that the operator gives the engine."""
    sizing: Sizing
    accelerator: AcceleratorStatus
    env: list[EnvVar] = Field(default_factory=list)
    pod_template: PodTemplate = Field(default_factory=PodTemplate)
    startup_seconds: PositiveInt
    """Time that loading may take before the server counts as failed."""


class StepStatus(ApiModel):
    """Attempts at one step."""

    name: str
    key: str
    """Hash of the step's inputs; a change starts to count anew."""
    attempts: PositiveInt
    """Attempts made, the running one included."""
    image: str
    """Image that the step's first container runs in; kept across operator upgrades."""
    memory_bytes: PositiveInt
    """Memory limit of the current attempt."""
    started: str | None = None
    finished: str | None = None
    last_reason: str | None = None
    """Why the last failed attempt failed."""
    last_message: str | None = None
    disturbed_since: PositiveInt | None = None
    """The first of the attempts in a row that were ended from outside: evicted, preempted, lost."""


class StepProgress(ApiModel):
    """How far the running step is."""

    step: str
    percent: Annotated[int, Field(ge=0, le=100)]


class QuantizedModelStatus(ApiModel):
    """What the operator found, made and decided."""

    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    stage: str | None = None
    """The condition being worked on, in one word; for the printer column."""
    revision: str | None = None
    """Hash of resolved source and recipe."""
    serving_revision: str | None = None
    """Revision that the Service sends requests to."""
    endpoint: str | None = None
    """OpenAI-compatible base URL."""
    engine: Engine | None = None
    """What serves."""
    replicas: int | None = None
    """Servers that exist."""
    selector: str | None = None
    """Label selector of the servers, for the scale subresource."""
    footprint_summary: str | None = None
    """Memory of one server, for the printer column."""
    accelerator_summary: str | None = None
    """Accelerator of one server, for the printer column."""
    conditions: Annotated[
        list[Condition],
        Field(
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            }
        ),
    ] = Field(default_factory=list)
    """The pipeline, in order."""
    steps: Annotated[
        list[StepStatus],
        Field(
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            }
        ),
    ] = Field(default_factory=list)
    """Attempts, images and last error of each step."""
    progress: StepProgress | None = None
    """Of the running step, in steps of 5 points."""
    claim_uid: str | None = None
    """Identity of the volume that holds the files; another one holds none of them."""
    source: SourceStatus | None = None
    fetched: FetchedStatus | None = None
    accelerator: AcceleratorStatus | None = None
    artifact: ArtifactStatus | None = None
    evaluation: EvaluationStatus | None = None
    quality_bounds: QualityBounds | None = None
    """What the evaluation is held to, defaults filled in."""
    footprint: FootprintStatus | None = None
    sizing: SizingStatus | None = None
    rollout: Rollout | None = None
    """The revision that serves."""

    def condition(self, kind: ConditionType) -> Condition | None:
        """Return the condition of that type, if it was ever set."""
        for condition in self.conditions:
            if condition.type is kind:
                return condition
        return None

    def is_true(self, kind: ConditionType) -> bool:
        """Whether that condition is True."""
        found = self.condition(kind)
        return found is not None and found.status is ConditionStatus.TRUE

    def step(self, name: str) -> StepStatus | None:
        """Return the attempts of that step."""
        return next((s for s in self.steps if s.name == name), None)
