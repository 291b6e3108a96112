"""`spec.quantization`: how the model is quantized, and the Job that does it."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from qmodel.api.base import ApiModel, cel, rules
from qmodel.api.gguf import GGUFOptions
from qmodel.api.methods import (
    BACKENDS,
    CALIBRATED,
    AWQOptions,
    Backend,
    BitsAndBytesOptions,
    GPTQOptions,
    Method,
)
from qmodel.api.placement import JobResources, NodeSelector, Tolerations
from qmodel.api.quantities import ByteQuantity
from qmodel.api.texts import Calibration

BLOCKS = {
    "awq": Method.AWQ,
    "gptq": Method.GPTQ,
    "bitsAndBytes": Method.BITS_AND_BYTES,
    "gguf": Method.GGUF,
}
"""Blocks of options, and the method that each belongs to."""

_CALIBRATED_CEL = "[" + ", ".join(f"'{method}'" for method in CALIBRATED) + "]"
_CALIBRATION_MESSAGE = (
    f"calibration is only used by {', '.join(CALIBRATED)} and GGUF with importanceMatrix: true"
)
_GGUF_CALIBRATION_MESSAGE = "calibration.samples and maxSequenceLength are not used by GGUF"
_IGNORE_MESSAGE = "ignore is not used by GGUF and None"


def _block_rule(block: str, method: Method) -> dict[str, str]:
    return cel(
        f"!has(self.{block}) || self.method == '{method}'",
        f"{block} is only allowed with method {method}",
    )


def _backend_rule(method: Method, backends: tuple[Backend, ...]) -> dict[str, str]:
    allowed = "[" + ", ".join(f"'{backend}'" for backend in backends) + "]"
    return cel(
        f"!has(self.backend) || self.method != '{method}' || self.backend in {allowed}",
        _backend_message(method, backends),
    )


def _backend_message(method: Method, backends: tuple[Backend, ...]) -> str:
    return f"backend of method {method} must be one of: {', '.join(backends) or 'none at all'}"


class Quantization(ApiModel):
    """The recipe, and the Job that carries it out."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *(_block_rule(block, method) for block, method in BLOCKS.items()),
            *(_backend_rule(method, backends) for method, backends in BACKENDS.items()),
            cel(
                f"!has(self.calibration) || self.method in {_CALIBRATED_CEL}"
                " || (self.method == 'GGUF' && has(self.gguf)"
                " && has(self.gguf.importanceMatrix) && self.gguf.importanceMatrix)",
                _CALIBRATION_MESSAGE,
            ),
            cel(
                "!has(self.calibration) || self.method != 'GGUF'"
                " || !(has(self.calibration.samples) || has(self.calibration.maxSequenceLength))",
                _GGUF_CALIBRATION_MESSAGE,
            ),
            cel("!has(self.ignore) || !(self.method in ['GGUF', 'None'])", _IGNORE_MESSAGE),
        )
    )

    method: Method
    """How the weights are stored; None serves the source as it is."""
    backend: Backend | None = None
    """Library that quantizes; absent: the first of the method."""
    awq: AWQOptions | None = None
    """Options of method AWQ."""
    gptq: GPTQOptions | None = None
    """Options of method GPTQ."""
    bits_and_bytes: BitsAndBytesOptions | None = None
    """Options of method BitsAndBytes."""
    gguf: GGUFOptions | None = None
    """Options of method GGUF."""
    ignore: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=256)]],
            Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
        ]
        | None
    ) = None
    """Modules kept unquantized, by name or `re:` and a pattern; absent: lm_head."""
    calibration: Calibration | None = None
    """What the method observes the model with; absent: samples that the model draws itself."""
    max_shard_size: ByteQuantity = "5G"
    """Largest file of the artifact's weights; of GGUF, which is one file, not used."""
    resources: JobResources | None = None
    """Resources of the quantize Job."""
    node_selector: NodeSelector | None = None
    """Labels of the nodes that the Jobs may run on."""
    tolerations: Tolerations | None = None
    """Taints that the Jobs tolerate."""
    timeout_seconds: Annotated[int, Field(ge=60, le=2_592_000)] = 86_400
    """Longest time of one quantize Job, in seconds."""

    @model_validator(mode="after")
    def _blocks_fit_method(self) -> Self:
        given = {"awq": self.awq, "gptq": self.gptq, "bitsAndBytes": self.bits_and_bytes}
        for block, value in (given | {"gguf": self.gguf}).items():
            if value is not None and self.method is not BLOCKS[block]:
                message = f"{block} is only allowed with method {BLOCKS[block]}"
                raise ValueError(message)
        if self.backend is not None and self.backend not in BACKENDS[self.method]:
            raise ValueError(_backend_message(self.method, BACKENDS[self.method]))
        return self

    @model_validator(mode="after")
    def _what_is_given_is_used(self) -> Self:
        if self.calibration is not None:
            if not self.calibrates:
                raise ValueError(_CALIBRATION_MESSAGE)
            given = (self.calibration.samples, self.calibration.max_sequence_length)
            if self.method is Method.GGUF and given != (None, None):
                raise ValueError(_GGUF_CALIBRATION_MESSAGE)
        if self.ignore is not None and self.method in (Method.GGUF, Method.NONE):
            raise ValueError(_IGNORE_MESSAGE)
        return self

    @property
    def calibrates(self) -> bool:
        """Whether the recipe observes the model on samples."""
        matrix = self.method is Method.GGUF and self.gguf_options.importance_matrix
        return matrix or self.method in CALIBRATED

    @property
    def chosen_backend(self) -> Backend | None:
        """The library that quantizes; None where nothing is quantized."""
        return self.backend or next(iter(BACKENDS[self.method]), None)

    @property
    def gguf_options(self) -> GGUFOptions:
        """The options of method GGUF, defaults filled in."""
        return self.gguf or GGUFOptions()
