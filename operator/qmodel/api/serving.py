"""How the artifact is served, on what, and where it is stored."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, field_serializer, model_validator

from qmodel.api.affinity import Affinity
from qmodel.api.base import ApiModel, cel, rules
from qmodel.api.engine_options import argument_rule, variable_rule
from qmodel.api.labels import Annotations, Labels
from qmodel.api.placement import NodeSelector, Tolerations
from qmodel.api.quantities import ByteQuantity, CPUQuantity
from qmodel.api.source import ResourceName


class Engine(StrEnum):
    """What serves the artifact."""

    VLLM = "VLLM"
    LLAMA_CPP = "LlamaCpp"


class KVCacheType(StrEnum):
    """Element type of the KV cache."""

    F16 = "F16"
    BF16 = "BF16"
    Q8_0 = "Q8_0"
    Q4_0 = "Q4_0"
    FP8 = "FP8"


class DType(StrEnum):
    """Element type of activations, and of weights that are not quantized."""

    AUTO = "auto"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


class EnvVar(ApiModel):
    """An environment variable with a literal value."""

    model_config = ConfigDict(json_schema_extra=rules(variable_rule()))

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=4096)] = ""
    """Its value."""


class LocalObjectReference(ApiModel):
    """An object of the same namespace, by name."""

    name: ResourceName
    """Name of the object."""


class PodTemplate(ApiModel):
    """What of the server's pods a user may set."""

    labels: Labels | None = None
    """Labels added to the pods; the operator's own are kept."""
    annotations: Annotations | None = None
    """Annotations added to the pods; the operator's own is kept."""
    node_selector: NodeSelector | None = None
    """Labels that the server's nodes must carry."""
    tolerations: Tolerations | None = None
    """Taints that the server tolerates."""
    affinity: Affinity | None = None
    """Affinity as in a pod; its lists have at most 16 terms or requirements."""
    priority_class_name: ResourceName | None = None
    """PriorityClass of the pods."""
    runtime_class_name: ResourceName | None = None
    """RuntimeClass of the pods."""
    image_pull_secrets: (
        Annotated[
            list[LocalObjectReference],
            Field(
                max_length=8,
                json_schema_extra={
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                },
            ),
        ]
        | None
    ) = None
    """Secrets to pull images with."""

    @field_serializer("affinity")
    def _as_it_is_written(self, affinity: Affinity | None) -> dict[str, Any] | None:
        """Return it under its names on the wire: the hash of a Deployment is made of them."""
        return None if affinity is None else affinity.to_wire()


_MAX_TOKENS = 2**31 - 1
"""Tokens of all sequences together: engines count them in 32 bits."""
_TOKENS_MESSAGE = f"contextLength times concurrency must be at most {_MAX_TOKENS}"


class Serving(ApiModel):
    """The server and its limits."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.contextLength) || !has(self.concurrency)"
                f" || self.contextLength * self.concurrency <= {_MAX_TOKENS}",
                _TOKENS_MESSAGE,
            )
        )
    )

    engine: Engine | None = None
    """Absent: chosen by the method."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Number of servers."""
    context_length: Annotated[int, Field(ge=256, le=10_485_760)] | None = None
    """Longest sequence in tokens; absent: the model's own, at most 4096."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 1
    """Sequences served at once by one replica."""
    cpu: CPUQuantity | None = None
    """CPU request of one server, and with it its compute threads: one for each core, at least 2.
    Absent: 250m, a share under contention. There is no limit."""
    dtype: DType = DType.AUTO
    """Type that vLLM computes in; auto: the model's own. llama.cpp chooses it by the file."""
    tensor_parallel_size: Annotated[int, Field(ge=1, le=16)] | None = None
    """GPUs that vLLM splits each layer over; absent: all GPUs of one replica."""
    kv_cache_type: KVCacheType | None = None
    """Element type of the KV cache; absent: F16 of llama.cpp, and `dtype` of vLLM. vLLM offers
    BF16, F16 and FP8, llama.cpp all but FP8."""
    extra_args: (
        Annotated[
            list[
                Annotated[
                    str,
                    Field(min_length=1, max_length=1024, json_schema_extra=rules(argument_rule())),
                ]
            ],
            Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        ]
        | None
    ) = None
    """Further arguments of the engine, of those that docs/engines.md lists."""
    env: (
        Annotated[
            list[EnvVar],
            Field(
                max_length=32,
                json_schema_extra={
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                },
            ),
        ]
        | None
    ) = None
    """Environment of the engine."""
    pod_template: PodTemplate | None = None
    """What else the server's pods carry."""

    @model_validator(mode="after")
    def _tokens_can_be_counted(self) -> Self:
        if (self.context_length or 0) * self.concurrency > _MAX_TOKENS:
            raise ValueError(_TOKENS_MESSAGE)
        return self


class AcceleratorType(StrEnum):
    """What the model runs on."""

    AUTO = "Auto"
    GPU = "GPU"
    CPU = "CPU"


class Accelerator(ApiModel):
    """The accelerator of the Jobs that need one and of the server."""

    type: AcceleratorType = AcceleratorType.AUTO
    """Auto: a GPU where the cluster has one that the estimate fits, else the CPU."""
    resource_name: Annotated[
        str, Field(max_length=253, pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")
    ] = "nvidia.com/gpu"
    """Extended resource that a GPU is asked for by."""
    count: Annotated[int, Field(ge=1, le=16)] = 1
    """GPUs of one replica."""
    node_selector: NodeSelector | None = None
    """Labels of the nodes with the wanted GPU."""
    tolerations: Tolerations | None = None
    """Taints of those nodes that are tolerated."""


class AccessMode(StrEnum):
    """How many nodes may mount the volume."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_WRITE_MANY = "ReadWriteMany"


class DeletionPolicy(StrEnum):
    """What becomes of the volume when the model is deleted."""

    DELETE = "Delete"
    RETAIN = "Retain"


class Storage(ApiModel):
    """The volume that holds source and artifacts."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.existingClaim) || (!has(self.size) && !has(self.storageClassName))",
                "size and storageClassName are not allowed with existingClaim",
            )
        )
    )

    size: ByteQuantity | None = None
    """Size of the volume; absent: computed from the model."""
    storage_class_name: ResourceName | None = None
    """StorageClass; absent: the cluster's default."""
    access_mode: AccessMode | None = None
    """Absent: ReadWriteOnce; of an existing claim, not known. All pods that mount a ReadWriteOnce
    volume run on one node."""
    existing_claim: ResourceName | None = None
    """A claim to use instead of making one; it is never deleted."""
    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    """Delete: the claim goes with the model. Retain: it stays."""

    @property
    def is_on_one_node(self) -> bool:
        """Whether the volume is known to be mounted by one node only."""
        own = AccessMode.READ_WRITE_ONCE if self.existing_claim is None else None
        return (self.access_mode or own) is AccessMode.READ_WRITE_ONCE
