"""How the artifact is served, on what, and where it is stored."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from qmodel.api.base import ApiModel, cel, rules
from qmodel.api.quantities import Quantity
from qmodel.api.quantization import NodeSelector, Tolerations
from qmodel.api.source import ResourceName

DENIED_ARGUMENTS = (
    # what is served, under which name
    "-m", "--model", "-mu", "--model-url", "-hf", "-hfr", "--hf-repo", "-hff", "--hf-file",
    "-hft", "--hf-token", "-dr", "--docker-repo", "-cl", "--cache-list", "--models-dir",
    "--models-preset", "--models-max", "-a", "--alias", "--lora", "--lora-scaled",
    "--control-vector", "--control-vector-scaled", "-mm", "--mmproj", "-mmu", "--mmproj-url",
    "-md", "--model-draft", "--spec-draft-model", "-hfd", "-hfrd", "--hf-repo-draft",
    "--spec-draft-hf", "--embd-gemma-default", "--fim-qwen-1.5b-default",
    "--fim-qwen-3b-default", "--fim-qwen-7b-default", "--fim-qwen-7b-spec",
    "--fim-qwen-14b-spec", "--fim-qwen-30b-default", "--gpt-oss-20b-default",
    "--gpt-oss-120b-default", "--vision-gemma-4b-default", "--vision-gemma-12b-default",
    # where it listens, and who may ask
    "--host", "--port", "--reuse-port", "--path", "--api-prefix", "--ssl-key-file",
    "--ssl-cert-file", "--api-key", "--api-key-file", "--metrics", "--props", "--slots",
    # files, programs and other servers
    "-f", "--file", "-bf", "--binary-file", "--grammar-file", "-jf", "--json-schema-file",
    "--chat-template-file", "--slot-save-path", "--media-path", "--video-ffmpeg-dir",
    "-lcs", "--lookup-cache-static", "-lcd", "--lookup-cache-dynamic", "--log-file",
    "--log-prompts-dir", "--ui-config-file", "--webui-config-file", "--ui-mcp-proxy",
    "--webui-mcp-proxy", "--tools", "--tools-runtime", "--mcp-servers-config",
    "--mcp-servers-json", "-ag", "--agent", "--rpc",
    # memory and processors, which are measured and sized
    "-c", "--ctx-size", "-np", "--parallel", "-kvu", "--kv-unified", "-no-kvu",
    "--no-kv-unified", "--kv-unified-per-slot", "-b", "--batch-size", "-ub", "--ubatch-size",
    "-ctk", "--cache-type-k", "-ctv", "--cache-type-v", "-fa", "--flash-attn", "-cram",
    "--cache-ram", "-ctxcp", "--ctx-checkpoints", "--swa-checkpoints", "--swa-full", "-fit",
    "--fit", "-fitt", "--fit-target", "-fitc", "--fit-ctx", "-lm", "--load-mode", "-lzm",
    "--lazy-mode", "--mmap", "--no-mmap", "--mlock", "-dev", "--device", "-ngl",
    "--gpu-layers", "--n-gpu-layers", "-t", "--threads", "-tb", "--threads-batch",
    "--threads-http",
    # the log that a measurement reads
    "--log-disable", "--log-jsonl",
    # what ends at once
    "-h", "--help", "--usage", "--version", "--list-devices", "--completion-bash",
)  # fmt: skip
"""Arguments of llama-server that the operator decides, or that reach files and the network."""

_DENIED_CEL = "[" + ", ".join(f"'{name}'" for name in DENIED_ARGUMENTS) + "]"


class Engine(StrEnum):
    """What serves the artifact."""

    LLAMA_CPP = "LlamaCpp"


class KVCacheType(StrEnum):
    """Element type of the KV cache."""

    F16 = "F16"
    BF16 = "BF16"
    Q8_0 = "Q8_0"
    Q4_0 = "Q4_0"


class EnvVar(ApiModel):
    """An environment variable with a literal value."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!self.name.matches('^((LLAMA|GGML|AIP|LD|HF|HUGGING_FACE)_|PYTHON)"
                "|^(PATH|NVIDIA_VISIBLE_DEVICES)$')",
                "PATH, NVIDIA_VISIBLE_DEVICES and names that start with LLAMA_, GGML_, AIP_, LD_,"
                " HF_, HUGGING_FACE_ or PYTHON are set by the operator",
            )
        )
    )

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

    labels: (
        Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=32)] | None
    ) = None
    """Labels added to the pods."""
    annotations: (
        Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] | None
    ) = None
    """Annotations added to the pods."""
    node_selector: NodeSelector | None = None
    """Labels that the server's nodes must carry."""
    tolerations: Tolerations | None = None
    """Taints that the server tolerates."""
    affinity: (
        Annotated[
            dict[str, Any],
            Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True}),
        ]
        | None
    ) = None
    """Affinity as in a pod."""
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


class Serving(ApiModel):
    """The server and its limits."""

    engine: Engine | None = None
    """Absent: chosen by the method."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Number of servers."""
    context_length: Annotated[int, Field(ge=256, le=10_485_760)] | None = None
    """Longest sequence in tokens; absent: the model's own, at most 4096."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 1
    """Sequences served at once by one replica."""
    kv_cache_type: KVCacheType = KVCacheType.F16
    """Element type of the KV cache."""
    extra_args: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=1024)]],
            Field(
                max_length=32,
                json_schema_extra={
                    "x-kubernetes-list-type": "atomic",
                    **rules(
                        cel(
                            "!self.exists(arg, arg.split('=')[0].replace('_', '-') in"
                            f" {_DENIED_CEL})",
                            "these are decided by the operator and not allowed: "
                            + ", ".join(DENIED_ARGUMENTS),
                        ),
                        cel(
                            "!self.exists(arg, arg.startsWith('--') && arg.contains('='))",
                            "a flag and its value are two items of the list",
                        ),
                    ),
                },
            ),
        ]
        | None
    ) = None
    """Further arguments of the engine."""
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
                "!has(self.existingClaim) || (!has(self.size) && !has(self.storageClassName)"
                " && !has(self.accessMode))",
                "size, storageClassName and accessMode are not allowed with existingClaim",
            )
        )
    )

    size: Quantity | None = None
    """Size of the volume; absent: computed from the model."""
    storage_class_name: ResourceName | None = None
    """StorageClass; absent: the cluster's default."""
    access_mode: AccessMode | None = None
    """Absent: ReadWriteOnce."""
    existing_claim: ResourceName | None = None
    """A claim to use instead of making one; it is never deleted."""
    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    """Delete: the claim goes with the model. Retain: it stays."""
