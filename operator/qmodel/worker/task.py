"""What each step is told: one JSON document in argv, never a shell line.

Paths are those inside the container: the model's volume is mounted at `/artifacts`, a source
claim read-only at `/source`, credentials of the source below `/credentials`, texts below `/text`.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from qmodel.api.base import ApiModel
from qmodel.api.gguf import GGUFOptions
from qmodel.api.methods import (
    BLOCK_WEIGHTS,
    AWQOptions,
    Backend,
    BitsAndBytesOptions,
    GPTQOptions,
    Method,
)
from qmodel.api.serving import Engine

ARTIFACTS = "/artifacts"
SOURCE_VOLUME = "/source"
CREDENTIALS = "/credentials"
TOKEN_FILE = f"{CREDENTIALS}/token"
PULL_SECRET_FILE = f"{CREDENTIALS}/config.json"
CA_BUNDLE_FILE = "/certificates/ca.crt"
CALIBRATION_FILE = "/text/calibration/text"
EVALUATION_FILE = "/text/evaluation/text"


def artifact_directory(revision: str) -> str:
    """Return where a revision's artifact lies on the volume."""
    return f"{ARTIFACTS}/{revision}"


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
    include: list[str] | None = None
    """Patterns of the files to look at; absent: all."""
    exclude: list[str] | None = None
    """Patterns of the files to leave out."""
    token_file: str | None = None
    """File that holds the access token."""


class FolderSource(ApiModel):
    """A folder (or one GGUF file) of a mounted claim."""

    kind: Literal["Folder"] = "Folder"
    path: str
    """Absolute path inside the container."""


class S3Source(ApiModel):
    """Objects of a bucket."""

    kind: Literal["S3"] = "S3"
    uri: str
    """`s3://bucket/prefix`, or one .gguf object."""
    endpoint: str | None = None
    """Base URL of the server; absent: AWS."""
    region: str
    credentials: str | None = None
    """Folder with the files accessKeyId, secretAccessKey and perhaps sessionToken."""
    allow_insecure: bool = False
    """Whether the endpoint may be http."""


class OCISource(ApiModel):
    """An artifact of a registry."""

    kind: Literal["OCI"] = "OCI"
    reference: str
    """As asked; with the digest once inspect resolved it."""
    file: str | None = None
    """One GGUF file of the artifact."""
    pull_secret: str | None = None
    """File of the form of docker's config.json."""
    insecure: bool = False
    """Speak http."""
    allow_insecure: bool = False
    """Whether the installation lets it."""


SourceTask = Annotated[HubSource | FolderSource | S3Source | OCISource, Field(discriminator="kind")]


class CalibrationTask(ApiModel):
    """What the method observes the model with."""

    file: str | None = None
    """The user's text; absent: samples that the unquantized model draws itself."""
    samples: PositiveInt = 128
    """Sequences; of GGUF, which reads a whole text, not used."""
    max_sequence_length: PositiveInt = 512
    """Longer sequences are cut, in tokens; of GGUF not used."""


class Recipe(ApiModel):
    """How the artifact is made, with every default filled in."""

    method: Method
    backend: Backend | None = None
    """Absent: nothing is quantized."""
    awq: AWQOptions | None = None
    gptq: GPTQOptions | None = None
    bits_and_bytes: BitsAndBytesOptions | None = None
    gguf: GGUFOptions | None = None
    ignore: list[str] = Field(default_factory=list)
    """Modules kept unquantized, by name or `re:` and a pattern."""
    calibration: CalibrationTask | None = None
    """Absent: the method observes nothing."""
    max_shard_bytes: PositiveInt = 5_000_000_000

    @property
    def grid(self) -> AWQOptions | GPTQOptions | None:
        """Bits, groups and symmetry of the methods that round to a grid of integers."""
        return self.awq or self.gptq

    @property
    def group_size(self) -> int:
        """Weights that share a scale; -1: all of a row."""
        return BLOCK_WEIGHTS.get(self.method, -1) if self.grid is None else self.grid.group_size


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
    keep_revisions: list[str] | None = None
    """As of the step `quantize`."""


class QuantizeTask(ApiModel):
    """Make the artifact; a step of its own container, so that evaluation loads it back."""

    step: Literal["quantize"] = "quantize"
    source_directory: str
    directory: str
    """Where the artifact goes: `/artifacts/<revision>`."""
    revision: str
    recipe: Recipe
    source_repository: str
    """For the provenance: repository or claim."""
    source_revision: str
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
    engine: Engine
    directory: str
    argv: list[str]
    """The server's whole command line, as the Deployment will run it."""
    port: PositiveInt
    context_length: PositiveInt
    """Tokens of one sequence."""
    concurrency: PositiveInt
    chats: bool = True
    """Whether the model has a chat template; without one vLLM refuses chats."""


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
    """Key-value heads of a layer; the largest where layers of a kind differ."""
    key_head_dim: NonNegativeInt
    value_head_dim: NonNegativeInt
    sliding_kv_heads: NonNegativeInt | None = None
    """Those of layers that attend to a window; absent: as many as the others have."""
    sliding_key_head_dim: NonNegativeInt | None = None
    sliding_value_head_dim: NonNegativeInt | None = None

    def kinds(self) -> list["KVLayout"]:
        """Return the layout of each kind of layers that cache: full ones, then sliding ones."""
        full = self.model_copy(update={"sliding_layers": 0})
        own = {
            "kv_heads": self.sliding_kv_heads,
            "key_head_dim": self.sliding_key_head_dim,
            "value_head_dim": self.sliding_value_head_dim,
        }
        stated = {name: size for name, size in own.items() if size is not None}
        sliding = self.model_copy(update={"full_layers": 0} | stated)
        return [kind for kind in (full, sliding) if kind.full_layers or kind.sliding_layers]
