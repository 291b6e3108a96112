"""`details.json` beside an artifact: what a report draws that is too long for a status."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from qmodel.api.base import ApiModel

DETAILS = "details.json"
MAX_DETAILS_BYTES = 300_000
"""The report reads it through the API server, out of a pod's log."""
MAX_BINS = 120


class Answer(ApiModel):
    """What both models say to one prompt, greedily."""

    prompt: str
    base: str
    quantized: str


class LayerError(ApiModel):
    """How far the stored weights of one layer are from the source's."""

    name: Annotated[str, Field(max_length=200)]
    """As the artifact names the weight."""
    shape: list[PositiveInt]
    type: str
    """How it is stored, such as `nf4`, `int4`, `float8`, `Q4_K`."""
    bits: NonNegativeFloat
    """Bits of a weight as stored, scales and zero points included."""
    bytes: NonNegativeInt
    """Bytes as stored, scales and zero points included."""
    relative_error: NonNegativeFloat
    """|W - Q| / |W| in the Frobenius norm, W the source's weights and Q what the artifact's
    stand for."""


class Histogram(ApiModel):
    """How many weights lie between neighbouring edges."""

    edges: Annotated[list[float], Field(max_length=MAX_BINS + 1)]
    """One more than counts, rising."""
    counts: Annotated[list[NonNegativeInt], Field(max_length=MAX_BINS)]


LevelKind = Literal["artifact", "NF4", "INT4", "k-means"]
"""`artifact`: the values that one typical group of this artifact takes, as read from it; the
others for comparison, at the scale of the same group or fitted to the same weights."""


class ExampleLayer(ApiModel):
    """The weights of one layer of the source, and where quantization puts them."""

    name: str
    type: str
    """How the artifact stores it, as in `LayerError`."""
    histogram: Histogram
    """Of the source's weights; the outermost bins hold what lies beyond them."""
    levels: dict[LevelKind, list[float]]
    """Values that a quantized weight can take, rising."""
    group_size: PositiveInt
    """Weights of a row that share a scale."""


class Details(ApiModel):
    """Everything, bounded so that it can be read through a log."""

    answers: list[Answer] = Field(default_factory=list)
    """Empty for a model without a chat template."""
    layers: list[LayerError] = Field(default_factory=list)
    """Quantized weights in the order of the model, or an even sample of each kind."""
    quantized_layers: NonNegativeInt = 0
    """How many there are; more than `layers` holds where time or size bounded them, or a library
    fused some. 0: not told."""
    example_layer: ExampleLayer | None = None
    """Absent where nothing is quantized."""
    timings: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    """Seconds of each part of the evaluation: load, compare, answers, layers."""
