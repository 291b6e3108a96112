"""Bits of one weight in each GGUF file type.

Files mix tensor types. The bits of a mix are those of Llama-3-8B (8.03e9 weights), whose sizes
llama.cpp's quantize.cpp lists, or the number that it names itself, and 5% for models whose share
of the better types is larger. Where rows do not divide into blocks of 256, llama-quant.cpp falls
back to types with blocks of 32 (`tensor_type_fallback`), and the file grows.
"""

from dataclasses import dataclass

from qmodel.api.gguf import GGUFType

K_BLOCK = 256
"""Weights of one block of the K, IQ and ternary types."""
_MIX_SHARE = 1.05
_Q4_0 = _IQ4_NL = 4.5
_Q5_0 = 5.5
_Q5_1 = 6.0
_Q5_K = 5.5
_Q6_K = 6.5625
_Q8_0 = 8.5


@dataclass(frozen=True, slots=True)
class WeightBits:
    """Bits of a weight: most tensors, and the one that makes logits (or is shared with it)."""

    mix: float
    output: float


_PLAIN: dict[GGUFType, float] = {
    GGUFType.F32: 32,
    GGUFType.F16: 16,
    GGUFType.BF16: 16,
    GGUFType.Q8_0: _Q8_0,
    GGUFType.MXFP4_MOE: _Q8_0,
}
"""Types that every tensor has, the output too; MXFP4_MOE keeps all but experts in Q8_0."""

_SMALL_BLOCKS: dict[GGUFType, float] = {
    GGUFType.Q5_1: 6.05,
    GGUFType.Q5_0: 5.57,
    GGUFType.Q4_1: 5.11,
    GGUFType.Q4_0: 4.64,
    GGUFType.IQ4_NL: 4.68,
    GGUFType.Q2_0: 2.30,
    GGUFType.Q1_0: 1.15,
}
"""Blocks of 32, 64 and 128: rows divide, or the type is refused (`ROW_MULTIPLES`)."""

ROW_MULTIPLES: dict[GGUFType, int] = {GGUFType.Q2_0: 64, GGUFType.Q1_0: 128}
"""Row widths that llama.cpp needs where it knows no other type to fall back to."""

_LARGE_BLOCKS: dict[GGUFType, tuple[float, float]] = {
    GGUFType.Q6_K: (6.57, _Q8_0),
    GGUFType.Q5_K_M: (5.70, 6.4),
    GGUFType.Q5_K_S: (5.57, 6.1),
    GGUFType.Q4_K_M: (4.90, 6.0),
    GGUFType.Q4_K_S: (4.67, 5.7),
    GGUFType.Q3_K_L: (4.31, 5.8),
    GGUFType.Q3_K_M: (4.00, 5.3),
    GGUFType.Q3_K_S: (3.65, _Q4_0),
    GGUFType.Q2_K: (3.17, 5.0),
    GGUFType.Q2_K_S: (3.17, 5.0),
    GGUFType.IQ4_XS: (4.46, 5.0),
    GGUFType.IQ3_M: (3.76, 5.2),
    GGUFType.IQ3_S: (3.66, 5.0),
    GGUFType.IQ3_XS: (3.50, 5.0),
    GGUFType.IQ3_XXS: (3.25, 5.0),
    GGUFType.IQ2_M: (2.93, 5.0),
    GGUFType.IQ2_S: (2.74, 5.0),
    GGUFType.IQ2_XS: (2.59, 5.0),
    GGUFType.IQ2_XXS: (2.38, 5.0),
    GGUFType.IQ1_M: (2.15, 5.0),
    GGUFType.IQ1_S: (2.00, 5.0),
    GGUFType.TQ2_0: (2.50, _Q4_0),
    GGUFType.TQ1_0: (2.15, _Q4_0),
}
"""Blocks of 256: bits where rows divide, and bits of the fallbacks where they do not."""


def weight_bits(gguf_type: GGUFType, hidden_size: int) -> WeightBits:
    """Return the bits of a weight in a model whose rows are `hidden_size` wide."""
    if gguf_type in _PLAIN:
        return WeightBits(_PLAIN[gguf_type], _PLAIN[gguf_type])
    if gguf_type in _SMALL_BLOCKS:
        output = _Q6_K if hidden_size % K_BLOCK == 0 else _Q8_0
        return WeightBits(_SMALL_BLOCKS[gguf_type] * _MIX_SHARE, output)
    divides, fallback = _LARGE_BLOCKS[gguf_type]
    if hidden_size % K_BLOCK == 0:
        return WeightBits(divides * _MIX_SHARE, _Q6_K)
    return WeightBits(fallback * _MIX_SHARE, _Q8_0)
