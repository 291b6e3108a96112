"""What each step answers: one JSON document below 4,096 bytes in the termination message."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from qmodel.api.base import ApiModel
from qmodel.worker.task import KVLayout

MAX_REPORT_BYTES = 4096
"""The kubelet keeps no more of a termination message."""


class SourceQuantization(ApiModel):
    """How a source is quantized already, as its own config or header says."""

    format: str
    """Its `quant_method` (awq, gptq, compressed-tensors, bitsandbytes, fp8, ...), or gguf."""
    bits: PositiveInt | None = None
    group_size: int | None = None
    symmetric: bool | None = None
    """False: zero points are stored; absent: not told."""
    act_order: bool = False
    """Whether the order of columns is stored, by falling activation."""
    packing: str | None = None
    """How weights are packed, in the format's own word, such as gemv or nvfp4-pack-quantized."""
    description: str
    """For people, such as `AWQ, 4 bits, groups of 128` or `GGUF Q4_1`."""


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
    model_type: Annotated[str, Field(max_length=64)] | None = None
    """As config.json names it, such as llama; absent: it does not, or the source is GGUF."""
    parameters: PositiveInt
    """Number of weights."""
    weight_bytes: PositiveInt
    """Bytes of the tensors as stored in the source."""
    hidden_size: PositiveInt
    layers: PositiveInt
    vocabulary_size: PositiveInt
    context_length: PositiveInt
    """Longest sequence that the model was made for, in tokens."""
    attention_heads: PositiveInt | None = None
    """Query heads of a layer; the largest where layers differ. Absent: not told."""
    kv: KVLayout
    linear_widths: Annotated[list[PositiveInt], Field(max_length=16)] = Field(default_factory=list)
    """Distinct input widths of the layers' linear weights, which group sizes must divide."""
    experts: NonNegativeInt = 0
    """Experts of a layer; 0: the model is dense."""
    quantization: SourceQuantization | None = None
    """Absent: the source is not quantized."""
    chat_template: bool
    """Whether the source brings a chat template."""


class Fetched(ApiModel):
    """What lies on the volume, verified."""

    bytes: PositiveInt
    files: PositiveInt


class Artifact(ApiModel):
    """The complete artifact of a revision."""

    model_path: str
    """What the engine loads, relative to the artifact's folder: a GGUF file, or `.` for all."""
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
    quantized_parameters: NonNegativeInt | None = None
    """Weights that were quantized; absent: not known of this method."""
    kept_parameters: NonNegativeInt | None = None
    """Weights that stayed as they were: embeddings, norms, ignored modules."""
    calibration: Literal["SelfDrawn", "User"] | None = None
    """What the method observed the model with; absent: nothing."""
    calibration_samples: PositiveInt | None = None
    reused: bool = False
    """True where it lay there complete: made for another model with the same source and recipe, or
    by an attempt that did not live to report it."""


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


class ProcessMemory(ApiModel):
    """One process of a server, once it was ready."""

    name: str
    bytes: NonNegativeInt
    """Anonymous and page-table memory."""


class Footprint(ApiModel):
    """Memory of one server under full load, in parts, in bytes."""

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
    start_peak_bytes: NonNegativeInt | None = None
    """The most until it was ready: loading, packing weights, warming up."""
    processes: list[ProcessMemory] | None = None
    """Each process of the server once it was ready, the largest first."""
    device_bytes: NonNegativeInt = 0
    """Peak on the server's GPUs together."""
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
