"""Packed tensors as the weights that they stand for.

Each format stores several weights in one integer, and scales, zero points and orders beside them.
Everything that is computed from tensors (parameters, widths, what contradicts config.json) is
computed from the weights that come of it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from qmodel.worker.errors import SourceInvalid, UnsupportedModel
from qmodel.worker.inspect.mixtures import Grid
from qmodel.worker.inspect.tensors import Tensor
from qmodel.worker.report import SourceQuantization

_BESIDE = re.compile(
    r".*(?:\.(?:qzeros|scales|g_idx|[kqv]_scale|(?:input|weight|output|activation)_scale(?:_inv|_2)?"
    r"|(?:input|weight|output)_global_scale|weight_(?:zero_point|g_idx|shape|format)|SCB"
    r"|weight\.(?:absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.\w+))"
    r"|_proj_scales|_scale_inv)"
)
"""What lies beside packed weights."""
_PACKED = ("qweight", "_packed", "_blocks")
_LINEAR = re.compile(r".*(?:\.weight|_proj|\.w[123])")
"""Matrices, embeddings and norms, and all experts in one tensor; no masks and no positions."""
_FLOATS = ("BF16", "F16", "F32", "F64")
_BITS_OF_WORD = 32
_OF_HALF_BYTES = (4, None)
"""Bits of weights that lie in bytes two by two; Quark and mixtures tell no one number."""
_GEMV = "gemv"
"""AWQ's packings that keep a row for each output, gemv and gemv_fast; gemm has one an input."""
_AS_AWQ = ":auto_awq"
"""AutoRound's packing that is AWQ's; its others are GPTQ's."""
_MATRIX = 2


def unpacked(
    tensors: Mapping[str, Tensor], found: SourceQuantization | None, grids: Sequence[Grid] = ()
) -> dict[str, Tensor]:
    """Return the weights, by name, with the shape `[outputs, inputs]` that they had.

    Parameters
    ----------
    tensors
        As stored, by name.
    found
        How they are quantized; None: they are not.
    grids
        Bits and group sizes that weights in 32-bit words may have, where `found` tells no one
        number of bits.

    Raises
    ------
    SourceInvalid
        If tensors are packed but the configuration does not say how, or says it wrongly.
    UnsupportedModel
        If several numbers of bits fit one of them.
    """
    if found is None:
        _check_plain(tensors.values())
        return dict(tensors)
    weights = (
        _weight(tensor, found, tensors, grids)
        for name, tensor in tensors.items()
        if not _BESIDE.fullmatch(name)
    )
    logical = {tensor.name: tensor for tensor in weights}
    if found.group_size is not None and found.format in ("awq", "gptq"):
        _check_groups(tensors, logical, found.group_size)
    return logical


def _check_plain(tensors: Iterable[Tensor]) -> None:
    """Check that nothing looks quantized: read as it stands, it would be another model."""
    for tensor in tensors:
        name = tensor.name[:200]
        if tensor.name.endswith(_PACKED):
            message = f"{name} is packed, but no configuration says how it was quantized"
            raise SourceInvalid(message)
        if _BESIDE.fullmatch(tensor.name):
            message = f"{name} lies beside quantized weights, but no configuration says how"
            raise SourceInvalid(message)
        if _LINEAR.fullmatch(tensor.name) and tensor.type not in _FLOATS:
            message = (
                f"{name} is {tensor.type}, but no configuration says how it was quantized; without"
                f" quantization {', '.join(_FLOATS)} are expected"
            )
            raise SourceInvalid(message)


def _weight(
    tensor: Tensor,
    found: SourceQuantization,
    tensors: Mapping[str, Tensor],
    grids: Sequence[Grid],
) -> Tensor:
    """Return the weight that one stored tensor stands for."""
    name, bits = tensor.name, found.bits
    if name.endswith(".qweight"):
        zeros = tensors.get(name.removesuffix("qweight") + "qzeros")
        shape = _words(tensor, found, bits or _bits_beside(tensor, zeros))
        return replace(tensor, name=name.removesuffix("qweight") + "weight", shape=shape)
    if name.endswith(".weight_packed"):
        factor = _factor(tensor, bits or _bits_of_grids(tensor, tensors, grids))
        shape = (*tensor.shape[:-1], tensor.shape[-1] * factor) if tensor.shape else ()
        return replace(tensor, name=name.removesuffix("_packed"), shape=shape)
    if name.endswith("_blocks") and tensor.type == "U8":
        shape = (*tensor.shape[:-2], 2 * tensor.shape[-2] * tensor.shape[-1])
        return replace(tensor, name=name.removesuffix("_blocks"), shape=shape)
    if name.endswith(".weight") and tensor.type == "U8" and bits in _OF_HALF_BYTES:
        if found.format == "bitsandbytes":
            return replace(tensor, shape=(2 * tensor.elements,))
        return replace(tensor, shape=(*tensor.shape[:-1], 2 * tensor.shape[-1]))
    return tensor


def _bits_beside(tensor: Tensor, zeros: Tensor | None) -> int:
    """Return the bits of one of GPTQ's weights, which differ: zero points have the same; else 0."""
    if zeros is None or not len(tensor.shape) == len(zeros.shape) == _MATRIX:
        return 0
    return zeros.shape[1] * _BITS_OF_WORD // max(tensor.shape[1], 1)


def _bits_of_grids(
    tensor: Tensor, tensors: Mapping[str, Tensor], grids: Sequence[Grid]
) -> int | None:
    """Return the bits of one of compressed-tensors' weights, which differ: scales tell the groups.

    Two grids can make as many scales of as many words: zero points, packed too, tell them apart.
    """
    if tensor.type == "U8" or not grids:
        return None
    module = tensor.name.removesuffix("_packed")
    scales, zeros = tensors.get(module + "_scale"), tensors.get(module + "_zero_point")
    fitting = {grid.bits for grid in grids if scales is None or _fits(grid, tensor, scales)}
    if len(fitting) > 1 and zeros is not None:
        fitting &= {grid.bits for grid in grids if _fits_zeros(grid, tensor, zeros)}
    if len(fitting) == 1:
        return fitting.pop()
    shape = " x ".join(map(str, tensor.shape))
    if not fitting:
        told = " or ".join(sorted({str(grid) for grid in grids}))
        message = f"the configuration says {told}, but the scales of {tensor.name[:200]} are others"
        raise SourceInvalid(message)
    message = (
        f"{tensor.name[:200]}, {shape} words, may have {' or '.join(map(str, sorted(fitting)))}"
        " bits, and nothing beside it tells which: use the repository that it was made from"
    )
    raise UnsupportedModel(message)


def _fits(grid: Grid, tensor: Tensor, scales: Tensor) -> bool:
    """Whether a weight in words has as many scales as the grid makes of its row."""
    if not tensor.shape or not scales.shape or not grid.bits:
        return False
    width = tensor.shape[-1] * (_BITS_OF_WORD // grid.bits)
    groups = -(-width // grid.group_size) if grid.group_size else 1
    return scales.shape[-1] == groups


def _fits_zeros(grid: Grid, tensor: Tensor, zeros: Tensor) -> bool:
    """Whether zero points have as many rows of words as the outputs make of them."""
    if len(tensor.shape) != _MATRIX or len(zeros.shape) != _MATRIX:
        return False
    return zeros.shape[0] == -(-tensor.shape[0] // (_BITS_OF_WORD // grid.bits))


def _words(tensor: Tensor, found: SourceQuantization, bits: int) -> tuple[int, ...]:
    """Return the shape of a weight that AWQ or GPTQ packed into 32-bit words."""
    if len(tensor.shape) != _MATRIX or tensor.type not in ("I32", "U32") or not bits:
        message = f"{tensor.name[:200]} is no matrix of 32-bit words, as {found.description} has"
        raise SourceInvalid(message)
    first, second = tensor.shape
    if found.format == "awq" or (found.packing or "").endswith(_AS_AWQ):
        by_outputs = (found.packing or "").startswith(_GEMV)
        packed = second * _BITS_OF_WORD // bits
        return (first, packed) if by_outputs else (packed, first)
    return second, first * _BITS_OF_WORD // bits


def _factor(tensor: Tensor, bits: int | None) -> int:
    """Return the weights in one stored number."""
    if tensor.type == "U8":
        return 2
    return _BITS_OF_WORD // bits if bits else 1


def _check_groups(
    tensors: Mapping[str, Tensor], weights: Mapping[str, Tensor], group_size: int
) -> None:
    """Check that there are as many scales as the group size makes."""
    for name, scales in tensors.items():
        weight = weights.get(name.removesuffix("scales") + "weight")
        if not name.endswith(".scales") or weight is None or len(weight.shape) != _MATRIX:
            continue
        width = weight.shape[1]
        if -(-width // group_size) not in scales.shape:
            shape = " x ".join(map(str, scales.shape))
            message = (
                f"the configuration says groups of {group_size}, but {name[:200]} is {shape} for"
                f" rows of {width}"
            )
            raise SourceInvalid(message)
