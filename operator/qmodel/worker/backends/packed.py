"""Weights of AutoAWQ and GPTQ checkpoints as plain arrays, without the libraries that wrote them.

Both formats keep a linear layer as `qweight` (integers packed into 32-bit words), `qzeros`
(zero points, packed too) and `scales`, one of each for a group of inputs; the weight is

    weight[o, i] = scales[g, o] * (level[i, o] - zero[g, o]),  g the group of input i

- AutoAWQ, version gemm: 4 bits, packed along the outputs, eight to a word in the order
  0, 2, 4, 6, 1, 3, 5, 7 that its kernel reads; groups are consecutive inputs.
- GPTQ: 2, 3, 4 or 8 bits, levels packed along the inputs and zero points along the outputs as one
  stream of bits (3 bits cross words); `g_idx` names the group of each input where the inputs were
  taken in the order of their activations. Its first format, AutoGPTQ's, stores each zero point
  less one, which wraps round at 0; `checkpoint_format: gptq_v2` stores it as it is.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qmodel.worker.backends.tensor_file import FloatArray, TensorFile
from qmodel.worker.errors import SourceInvalid, UnsupportedModel

Words = npt.NDArray[np.uint32]
Levels = npt.NDArray[np.uint8]

WORD_BITS = 32
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Column that each nibble of a word holds, lowest first."""
GPTQ_BITS = (2, 3, 4, 8)
PACKED = ("qweight", "qzeros", "scales", "g_idx")
"""The tensors that stand in the place of one `weight`."""


@dataclass(frozen=True)
class Packing:
    """How a checkpoint's linear layers are packed, from its own config."""

    method: str
    """`awq` or `gptq`."""
    bits: int
    group_size: int
    """Inputs that share a scale; -1: all of a row."""
    zero_offset: int = 0
    """What stored zero points lack."""


def packing(folder: Path) -> Packing | None:
    """Return how the checkpoint in `folder` is packed; None if it is in neither format.

    Raises
    ------
    UnsupportedModel
        If it is a variant of them that is not decoded here.
    """
    settings = _settings(folder)
    method = settings.get("quant_method")
    if method not in ("awq", "gptq"):
        return None
    bits: Any = settings.get("bits")
    group_size = settings.get("group_size", -1)
    layout = str(settings.get("version" if method == "awq" else "checkpoint_format") or "").lower()
    known = ("", "gemm") if method == "awq" else ("", "gptq", "gptq_v2")
    if layout not in known or settings.get("is_marlin_format"):
        message = f"{method} weights in the layout {layout or 'marlin'} are not read: {known[1]} is"
        raise UnsupportedModel(message)
    if bits not in (GPTQ_BITS if method == "gptq" else (4,)) or not isinstance(group_size, int):
        message = f"{method} weights of {bits!r} bits in groups of {group_size!r} are not read"
        raise UnsupportedModel(message)
    return Packing(method, bits, group_size, int(method == "gptq" and layout != "gptq_v2"))


def dequantized(folder: Path) -> Iterator[tuple[str, FloatArray]]:
    """Yield every weight of a packed checkpoint under the name it has in the plain one.

    One tensor is in memory at a time, so a model on another device or in another type can be
    filled as they come; `quantization_config` must be taken out of its config first.

    Parameters
    ----------
    folder
        Holds config.json and *.safetensors for which `packing` is not None.

    Yields
    ------
    tuple
        The name, as `model.layers.0.mlp.up_proj.weight`, and float32 values; of a linear layer
        [outputs, inputs].

    Raises
    ------
    SourceInvalid
        If the tensors of a layer do not fit each other or the config.
    """
    how = packing(folder)
    if how is None:
        message = f"{folder.name} is neither an AWQ nor a GPTQ checkpoint"
        raise UnsupportedModel(message)
    files = [TensorFile(path) for path in sorted(folder.glob("*.safetensors"))]
    tensors = {name: file for file in files for name in file.names()}
    packed = {name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")}
    for name, file in tensors.items():
        layer, _, kind = name.rpartition(".")
        if layer not in packed or kind not in PACKED:
            yield name, file.floats(name)
        elif kind == "qweight":
            yield f"{layer}.weight", weight(layer, _parts(layer, tensors), how)


def weight(layer: str, parts: Mapping[str, npt.NDArray[Any]], how: Packing) -> FloatArray:
    """Return the weight of one linear layer.

    Parameters
    ----------
    layer
        Its name, for messages.
    parts
        `qweight` and `qzeros` as stored, `scales` in float32, and `g_idx` if it is there.
    how
        The checkpoint's packing.

    Returns
    -------
    ndarray
        [outputs, inputs] in float32.
    """
    if missing := {"qweight", "qzeros", "scales"} - set(parts):
        message = f"{layer} lacks {', '.join(sorted(missing))}"
        raise SourceInvalid(message)
    scales = parts["scales"].T
    try:
        levels, zeros = _levels(parts["qweight"], parts["qzeros"], how)
    except ValueError as error:
        message = f"{layer}: its packed words do not hold whole rows of {how.bits} bits: {error}"
        raise SourceInvalid(message) from error
    groups = _groups(parts.get("g_idx"), levels.shape[1], how.group_size)
    _check(layer, levels, zeros, scales, groups)
    plain = levels.astype(np.float32, order="C")
    plain -= zeros[:, groups]
    plain *= scales[:, groups]
    return plain


def unpack(words: Words, bits: int) -> Levels:
    """Return the integers that are packed along the first axis as one stream of bits.

    Parameters
    ----------
    words
        [rows, columns]; `bits` rows hold 32 integers of a column, lowest bits first.
    bits
        Of one integer, at most 8.

    Returns
    -------
    ndarray
        [rows * 32 / bits, columns].
    """
    rows, columns = words.shape
    words_each = bits if WORD_BITS % bits else 1
    count = words_each * WORD_BITS // bits
    blocks = words.reshape(rows // words_each, words_each, columns)
    levels = np.empty((len(blocks), count, columns), np.uint8)
    for index in range(count):
        word, shift = divmod(index * bits, WORD_BITS)
        values = blocks[:, word] >> np.uint32(shift)
        if shift + bits > WORD_BITS:
            values |= blocks[:, word + 1] << np.uint32(WORD_BITS - shift)
        levels[:, index] = values & np.uint32((1 << bits) - 1)
    return levels.reshape(-1, columns)


def _levels(words: Words, zeros: Words, how: Packing) -> tuple[Levels, Levels]:
    """Return levels [outputs, inputs] and zero points [outputs, groups]."""
    if how.method == "awq":
        return _awq_levels(words), _awq_levels(zeros)
    points = unpack(zeros.T, how.bits) + np.uint8(how.zero_offset)
    return unpack(words, how.bits).T, points & np.uint8((1 << how.bits) - 1)


def _awq_levels(words: Words) -> Levels:
    """Return [outputs, rows] of [rows, outputs / 8] words, in the outputs' own order."""
    levels = unpack(words.T, 4).reshape(-1, len(AWQ_ORDER), len(words))
    return levels[:, np.argsort(AWQ_ORDER)].reshape(-1, len(words))


def _parts(layer: str, tensors: Mapping[str, TensorFile]) -> dict[str, npt.NDArray[Any]]:
    """Return what one linear layer is stored as; its tensors may lie in several files."""
    names = {part: f"{layer}.{part}" for part in PACKED}
    parts = {part: tensors[name].read(name) for part, name in names.items() if name in tensors}
    for part in parts.keys() & {"qweight", "qzeros"}:
        parts[part] = parts[part].view(np.uint32)
    if "scales" in parts:
        parts["scales"] = tensors[names["scales"]].floats(names["scales"])
    return parts


def _groups(index: npt.NDArray[Any] | None, inputs: int, size: int) -> npt.NDArray[Any]:
    """Return the group of each input."""
    if index is not None and index.size:
        return index
    return np.arange(inputs) // (size if size > 0 else max(inputs, 1))


def _check(
    layer: str, levels: Levels, zeros: Levels, scales: FloatArray, groups: npt.NDArray[Any]
) -> None:
    """Refuse parts that do not belong together, before an index reaches past one."""
    fits = zeros.shape == scales.shape and len(levels) == len(scales)
    if not fits or groups.shape != levels.shape[1:] or not groups.size:
        message = f"{layer}: levels {levels.shape}, zeros {zeros.shape}, scales {scales.shape}"
        raise SourceInvalid(message)
    if groups.min() < 0 or groups.max() >= scales.shape[1]:
        message = f"{layer}: its inputs name groups up to {groups.max()} of {scales.shape[1]}"
        raise SourceInvalid(message)


def _settings(folder: Path) -> dict[str, Any]:
    """Return the quantization's settings; old checkpoints keep them in a file of their own."""
    config = json.loads((folder / "config.json").read_bytes())
    alone = folder / "quantize_config.json"
    if "quantization_config" not in config and alone.exists():
        return {"quant_method": "gptq", **json.loads(alone.read_bytes())}
    return dict(config.get("quantization_config") or {})
