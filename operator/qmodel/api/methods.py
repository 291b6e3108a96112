"""Quantization methods, the libraries that carry them out, and the options of each method."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, get_args

from pydantic import Field

from qmodel.api.base import ApiModel


class Method(StrEnum):
    """How the weights are stored."""

    AWQ = "AWQ"
    GPTQ = "GPTQ"
    FP8 = "FP8"
    INT8 = "INT8"
    NVFP4 = "NVFP4"
    MXFP4 = "MXFP4"
    BITS_AND_BYTES = "BitsAndBytes"
    GGUF = "GGUF"
    NONE = "None"


class Backend(StrEnum):
    """Library that quantizes."""

    LLM_COMPRESSOR = "LLMCompressor"
    AUTO_AWQ = "AutoAWQ"
    AUTO_GPTQ = "AutoGPTQ"
    BITS_AND_BYTES = "BitsAndBytes"
    LLAMA_CPP = "LlamaCpp"


BACKENDS: Mapping[Method, tuple[Backend, ...]] = {
    Method.AWQ: (Backend.LLM_COMPRESSOR, Backend.AUTO_AWQ),
    Method.GPTQ: (Backend.LLM_COMPRESSOR, Backend.AUTO_GPTQ),
    Method.FP8: (Backend.LLM_COMPRESSOR,),
    Method.INT8: (Backend.LLM_COMPRESSOR,),
    Method.NVFP4: (Backend.LLM_COMPRESSOR,),
    Method.MXFP4: (Backend.LLM_COMPRESSOR,),
    Method.BITS_AND_BYTES: (Backend.BITS_AND_BYTES,),
    Method.GGUF: (Backend.LLAMA_CPP,),
    Method.NONE: (),
}
"""Libraries that offer a method, the default first."""

CALIBRATED = (Method.AWQ, Method.GPTQ, Method.INT8, Method.NVFP4)
"""Methods that observe the model on samples."""

BLOCK_WEIGHTS: Mapping[Method, int] = {Method.NVFP4: 16, Method.MXFP4: 32}
"""Weights that share a scale in the formats that leave no choice."""

_GroupSize = Literal[-1, 16, 32, 64, 128, 256]
GroupSize = Annotated[_GroupSize, Field(json_schema_extra={"type": "integer"})]
"""Weights of a row that share a scale; -1: the whole row."""
GROUP_SIZES: tuple[int, ...] = get_args(_GroupSize)[:0:-1]
"""The choices within a row, the largest first."""

Bits = Annotated[Literal[4, 8], Field(json_schema_extra={"type": "integer"})]
"""Those that vLLM loads."""


class AWQOptions(ApiModel):
    """Options of method AWQ (arXiv 2306.00978)."""

    bits: Annotated[Literal[4], Field(json_schema_extra={"type": "integer"})] = 4
    """Bits of a weight."""
    group_size: GroupSize = 128
    """Weights of a row that share a scale; must divide every quantized row; -1: the whole row."""
    symmetric: bool = False
    """True stores no zero points."""


class GPTQOptions(ApiModel):
    """Options of method GPTQ (arXiv 2210.17323)."""

    bits: Bits = 4
    """Bits of a weight."""
    group_size: GroupSize = 128
    """Weights of a row that share a scale; must divide every quantized row; -1: the whole row."""
    symmetric: bool = True
    """False stores zero points."""
    desc_act_order: bool | None = None
    """Quantize columns by falling activation, which is better. Absent: true of LLMCompressor, which
    stores each column in its own place; false of AutoGPTQ, which stores the order."""


class BitsAndBytesType(StrEnum):
    """Data types of bitsandbytes."""

    NF4 = "NF4"
    FP4 = "FP4"
    INT8 = "INT8"


class ComputeType(StrEnum):
    """Floating-point types that are computed in."""

    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


class BitsAndBytesOptions(ApiModel):
    """Options of method BitsAndBytes (arXiv 2305.14314, 2208.07339)."""

    type: BitsAndBytesType = BitsAndBytesType.NF4
    """Data type of the weights."""
    double_quantization: bool = True
    """Quantize the scales too; of NF4 and FP4 only."""
    compute_type: ComputeType = ComputeType.BFLOAT16
    """Type that weights are unpacked to for computing."""
