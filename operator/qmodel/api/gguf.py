"""GGUF file types and the options of method GGUF."""

from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, model_validator

from qmodel.api.base import ApiModel, cel, rules


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
                f"!has(self.type) || !(self.type in {_NEEDS_MATRIX_CEL})"
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
