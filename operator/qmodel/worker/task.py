"""What each step is told: one JSON document in argv, never a shell line.

Paths are those inside the container: the model's volume is mounted at `/artifacts`, a source
claim read-only at `/source`, the access token as a file below `/token`, texts below `/text`.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from qmodel.api.base import ApiModel
from qmodel.api.quantization import GGUFType, Method

ARTIFACTS = "/artifacts"
SOURCE_VOLUME = "/source"
TOKEN_FILE = "/token/token"  # noqa: S105  a path, not a secret
CALIBRATION_FILE = "/text/calibration/text"
EVALUATION_FILE = "/text/evaluation/text"


class HubSource(ApiModel):
    """A repository of the hub endpoint that the installation allows."""

    kind: Literal["HuggingFace"] = "HuggingFace"
    endpoint: str
    """Base URL of the endpoint."""
    repository: str
    """owner/name."""
    revision: str
    """Branch, tag or commit as asked; a commit once inspect resolved it."""
    file: str | None = None
    """One GGUF file of the repository."""
    token_file: str | None = None
    """File that holds the access token."""


class FolderSource(ApiModel):
    """A folder (or one GGUF file) of a mounted claim."""

    kind: Literal["Folder"] = "Folder"
    path: str
    """Absolute path inside the container."""


SourceTask = Annotated[HubSource | FolderSource, Field(discriminator="kind")]


class InspectTask(ApiModel):
    """Resolve the source and read headers; downloads no weights."""

    step: Literal["inspect"] = "inspect"
    source: SourceTask
    method: Method


class FetchTask(ApiModel):
    """Bring the source's files to the volume, verified."""

    step: Literal["fetch"] = "fetch"
    source: SourceTask
    source_revision: str
    """What inspect resolved: a commit, or the digest of a folder."""
    directory: str
    """Where the files go: `/artifacts/sources/<source digest>`."""


class QuantizeTask(ApiModel):
    """Make the artifact; a step of its own container, so that evaluation loads it back."""

    step: Literal["quantize"] = "quantize"
    source_directory: str
    directory: str
    """Where the artifact goes: `/artifacts/<revision>`."""
    revision: str
    method: Method
    source_repository: str
    """For the provenance: repository or claim."""
    source_revision: str
    gguf_type: GGUFType | None = None
    importance_matrix: bool = False
    calibration_file: str | None = None
    keep_revisions: list[str] | None = None
    """Artifacts that must stay on a volume of the model's own; others make room. Absent: others
    may use the volume, so nothing is removed."""
    threads: PositiveInt


class EvaluateTask(ApiModel):
    """Compare the saved artifact with the unquantized source on the same tokens."""

    step: Literal["evaluate"] = "evaluate"
    source_directory: str
    directory: str
    text_file: str | None = None
    """The user's text; absent: built-in text and samples of the unquantized model."""
    threads: PositiveInt


class MeasureTask(ApiModel):
    """Start the server as it will be served, fill every slot, read what it takes."""

    step: Literal["measure"] = "measure"
    directory: str
    argv: list[str]
    """The server's whole command line, as the Deployment will run it."""
    port: PositiveInt
    context_length: PositiveInt
    """Tokens of one sequence."""
    concurrency: PositiveInt
    arguments_hash: str
    """Identifies what was measured; goes into the footprint."""


Task = Annotated[
    InspectTask | FetchTask | QuantizeTask | EvaluateTask | MeasureTask,
    Field(discriminator="step"),
]


class KVLayout(ApiModel):
    """What the KV cache holds; the arithmetic over it is `qmodel.sizing.kv_cache`."""

    full_layers: NonNegativeInt
    """Layers that attend to the whole context."""
    sliding_layers: NonNegativeInt = 0
    """Layers that attend to a window."""
    window: NonNegativeInt = 0
    """Tokens of that window."""
    recurrent_layers: NonNegativeInt = 0
    """Layers with a state of fixed size instead of a cache."""
    kv_heads: NonNegativeInt
    """Key-value heads of a layer; the largest where layers differ."""
    key_head_dim: NonNegativeInt
    value_head_dim: NonNegativeInt
