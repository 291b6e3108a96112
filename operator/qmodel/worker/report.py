"""What each step answers: one JSON document below 4,096 bytes in the termination message."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from qmodel.api.base import ApiModel
from qmodel.worker.task import KVLayout

MAX_REPORT_BYTES = 4096
"""The kubelet keeps no more of a termination message."""


class Inspection(ApiModel):
    """What the headers of the source say."""

    source_revision: str
    """Commit of the repository, or digest of the folder."""
    source_digest: str
    """Identifies the files that will be fetched (16 hexadecimal digits)."""
    source_bytes: PositiveInt
    """Bytes that fetch will bring."""
    format: Literal["safetensors", "gguf"]
    architecture: str
    """As config.json or the GGUF header names it, such as LlamaForCausalLM."""
    parameters: PositiveInt
    """Number of weights."""
    weight_bytes: PositiveInt
    """Bytes of the tensors as stored in the source."""
    hidden_size: PositiveInt
    layers: PositiveInt
    vocabulary_size: PositiveInt
    context_length: PositiveInt
    """Longest sequence that the model was made for, in tokens."""
    kv: KVLayout
    quantized_as: str | None = None
    """How the source is quantized already, such as GGUF Q4_1; absent: it is not."""
    chat_template: bool
    """Whether the source brings a chat template."""


class Fetched(ApiModel):
    """What lies on the volume, verified."""

    bytes: PositiveInt
    files: PositiveInt


class Artifact(ApiModel):
    """The complete artifact of a revision."""

    model_file: str
    """The GGUF file to serve, relative to the artifact's folder."""
    files: PositiveInt
    bytes: PositiveInt
    """Bytes of all files of the artifact."""
    weight_bytes: PositiveInt
    """Bytes of the file (or files) with the weights."""
    digest: str
    """sha256 of the manifest."""
    seconds: NonNegativeFloat
    peak_bytes: NonNegativeInt
    """Peak resident memory of making it."""


class Evaluation(ApiModel):
    """Paired comparison with the unquantized source; decimals as strings in status."""

    base_perplexity: NonNegativeFloat
    perplexity: NonNegativeFloat
    perplexity_ratio: NonNegativeFloat
    perplexity_ratio_error: NonNegativeFloat
    """Standard error of the ratio."""
    mean_kl_divergence: NonNegativeFloat
    """In nats."""
    mean_kl_divergence_error: NonNegativeFloat
    top_token_agreement: Annotated[float, Field(ge=0, le=1)]
    top_token_agreement_error: NonNegativeFloat
    tokens: PositiveInt
    """Positions that were compared."""
    text: Literal["BuiltIn", "User"]
    text_digest: str
    seconds: NonNegativeFloat
    peak_bytes: NonNegativeInt


class Footprint(ApiModel):
    """Memory of one server under full load, in parts, in bytes."""

    arguments_hash: str
    """What it was measured under; other arguments are measured anew."""
    context_length: PositiveInt
    concurrency: PositiveInt
    weights_bytes: NonNegativeInt
    kv_bytes: NonNegativeInt
    """KV cache as the server allocated it."""
    compute_bytes: NonNegativeInt
    """Graph and output buffers."""
    other_bytes: NonNegativeInt
    """What the peak holds beyond the buffers."""
    peak_bytes: PositiveInt
    """Anonymous, shared and kernel memory of the server at its highest."""
    device_bytes: NonNegativeInt = 0
    """Peak on the accelerator."""
    kv_bytes_per_token: NonNegativeInt
    """Growth of the KV cache with one token of one sequence."""
    load_seconds: NonNegativeFloat
    first_token_seconds: NonNegativeFloat
    """Time to the first token of a short prompt."""
    prompt_tokens_per_second: NonNegativeFloat
    tokens_per_second: NonNegativeFloat
    """Generation of all slots together."""
    engine_version: str
    seconds: NonNegativeFloat


class Failure(ApiModel):
    """Why a step did not succeed."""

    reason: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z]+$", max_length=64)]
    """Goes to the condition."""
    message: Annotated[str, Field(max_length=2048)]
    """Names what was found and what a person can do."""
    retry_after_seconds: PositiveInt | None = None
    """Absent: a person must act."""


class Report(ApiModel):
    """One step's answer: a failure or the step's own block."""

    step: str
    failure: Failure | None = None
    inspection: Inspection | None = None
    fetched: Fetched | None = None
    artifact: Artifact | None = None
    evaluation: Evaluation | None = None
    footprint: Footprint | None = None


class ProgressLine(ApiModel):
    """One line on stdout while a step runs."""

    step: str
    percent: Annotated[int, Field(ge=0, le=100)]
    message: str = ""
