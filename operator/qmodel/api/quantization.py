"""How the model is quantized and what it is calibrated with."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from qmodel.api.base import ApiModel, cel, rules
from qmodel.api.quantities import Quantity
from qmodel.api.source import RelativePath, ResourceName


class Method(StrEnum):
    """How the weights are stored."""

    GGUF = "GGUF"
    NONE = "None"


class GGUFType(StrEnum):
    """File types of the pinned llama.cpp's quantizer."""

    F32 = "F32"
    F16 = "F16"
    BF16 = "BF16"
    Q8_0 = "Q8_0"
    Q6_K = "Q6_K"
    Q5_K_M = "Q5_K_M"
    Q5_K_S = "Q5_K_S"
    Q5_1 = "Q5_1"
    Q5_0 = "Q5_0"
    Q4_K_M = "Q4_K_M"
    Q4_K_S = "Q4_K_S"
    Q4_1 = "Q4_1"
    Q4_0 = "Q4_0"
    IQ4_NL = "IQ4_NL"
    IQ4_XS = "IQ4_XS"
    Q3_K_L = "Q3_K_L"
    Q3_K_M = "Q3_K_M"
    Q3_K_S = "Q3_K_S"
    IQ3_M = "IQ3_M"
    IQ3_S = "IQ3_S"
    IQ3_XS = "IQ3_XS"
    IQ3_XXS = "IQ3_XXS"
    Q2_K = "Q2_K"
    Q2_K_S = "Q2_K_S"
    IQ2_M = "IQ2_M"
    IQ2_S = "IQ2_S"
    IQ2_XS = "IQ2_XS"
    IQ2_XXS = "IQ2_XXS"
    IQ1_M = "IQ1_M"
    IQ1_S = "IQ1_S"
    TQ2_0 = "TQ2_0"
    TQ1_0 = "TQ1_0"
    Q2_0 = "Q2_0"
    Q1_0 = "Q1_0"
    MXFP4_MOE = "MXFP4_MOE"


NEEDS_IMPORTANCE_MATRIX = (
    GGUFType.Q2_K_S,
    GGUFType.IQ3_XS,
    GGUFType.IQ3_XXS,
    GGUFType.IQ2_M,
    GGUFType.IQ2_S,
    GGUFType.IQ2_XS,
    GGUFType.IQ2_XXS,
    GGUFType.IQ1_M,
    GGUFType.IQ1_S,
)
"""Types that llama.cpp refuses to write, for some tensors, without an importance matrix."""

_NEEDS_MATRIX_CEL = "[" + ", ".join(f"'{name}'" for name in NEEDS_IMPORTANCE_MATRIX) + "]"
_NEEDS_MATRIX_MESSAGE = (
    "the types " + ", ".join(NEEDS_IMPORTANCE_MATRIX) + " need importanceMatrix: true"
)


class GGUFOptions(ApiModel):
    """Options of method GGUF."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                f"!(self.type in {_NEEDS_MATRIX_CEL})"
                " || (has(self.importanceMatrix) && self.importanceMatrix)",
                _NEEDS_MATRIX_MESSAGE,
            )
        )
    )

    type: GGUFType = GGUFType.Q4_K_M
    """GGUF file type; llama.cpp falls back per tensor where a row does not divide."""
    importance_matrix: bool = False
    """Weigh each column by its use on the calibration text; required by the smallest types."""

    @model_validator(mode="after")
    def _matrix_where_needed(self) -> Self:
        if self.type in NEEDS_IMPORTANCE_MATRIX and not self.importance_matrix:
            raise ValueError(_NEEDS_MATRIX_MESSAGE)
        return self


class ConfigMapKeyRef(ApiModel):
    """One key of a ConfigMap in the model's namespace."""

    name: ResourceName
    """Name of the ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key within the ConfigMap."""


class VolumeFileRef(ApiModel):
    """One file of a claim in the model's namespace; it is only read."""

    claim_name: ResourceName
    """Name of the PersistentVolumeClaim."""
    path: Annotated[RelativePath, Field(min_length=1)]
    """File below the root of the volume."""


class TextSource(ApiModel):
    """A text of the user: plain text, passages separated by blank lines; exactly one member.

    The reference is part of what identifies a result: give a changed text a new name, as
    kustomize's configMapGenerator does.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.configMapRef) != has(self.persistentVolumeClaim)",
                "exactly one of configMapRef, persistentVolumeClaim must be set",
            )
        )
    )

    config_map_ref: ConfigMapKeyRef | None = None
    """A key of a ConfigMap."""
    persistent_volume_claim: VolumeFileRef | None = None
    """A file of a PersistentVolumeClaim."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.config_map_ref is None) == (self.persistent_volume_claim is None):
            message = "exactly one of configMapRef, persistentVolumeClaim must be set"
            raise ValueError(message)
        return self


class Calibration(TextSource):
    """The text that an importance matrix is computed from."""


class Toleration(ApiModel):
    """A toleration as in a pod."""

    key: Annotated[str, Field(max_length=317)] | None = None
    """Taint key; absent with operator Exists: every taint."""
    operator: Annotated[str, Field(json_schema_extra={"enum": ["Exists", "Equal"]})] = "Equal"
    """Exists or Equal."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Taint value."""
    effect: (
        Annotated[
            str,
            Field(json_schema_extra={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]}),
        ]
        | None
    ) = None
    """Taint effect; absent: every effect."""
    toleration_seconds: int | None = None
    """How long a NoExecute taint is tolerated, in seconds."""


NodeSelector = Annotated[
    dict[str, Annotated[str, Field(max_length=63)]],
    Field(max_length=32),
]
"""Labels that a node must carry."""

Tolerations = Annotated[
    list[Toleration],
    Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
]


class JobResources(ApiModel):
    """What the quantize Job's containers request; limits equal requests for memory."""

    cpu: Quantity | None = None
    """CPU request; absent: 500m."""
    memory: Quantity | None = None
    """Memory request and limit; absent: estimated from the model."""


class Quantization(ApiModel):
    """The recipe, and the Job that carries it out."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.gguf) || self.method == 'GGUF'", "gguf is only allowed with method GGUF"
            ),
            cel(
                "!has(self.calibration) || (has(self.gguf) && has(self.gguf.importanceMatrix)"
                " && self.gguf.importanceMatrix)",
                "calibration is only used with gguf.importanceMatrix: true",
            ),
        )
    )

    method: Method
    """How the weights are stored; None serves the source as it is."""
    gguf: GGUFOptions | None = None
    """Options of method GGUF."""
    calibration: Calibration | None = None
    """Text for the importance matrix; absent: samples of the model itself and the built-in text."""
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
        if self.gguf is not None and self.method is not Method.GGUF:
            message = "gguf is only allowed with method GGUF"
            raise ValueError(message)
        return self

    @property
    def gguf_options(self) -> GGUFOptions:
        """The options of method GGUF, defaults filled in."""
        return self.gguf or GGUFOptions()
