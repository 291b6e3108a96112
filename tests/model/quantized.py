"""The random Llama as somebody else's quantized checkpoint: rounded to nearest, packed by numpy.

The formats are those that AutoAWQ and AutoGPTQ wrote, with which repositories are full. They are
small and senseless, but sound: engines load them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from model import tensors, tiny

BITS = 4
GROUP = 64
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Column that each nibble of a word holds, lowest first."""
_STEPS = (1 << BITS) - 1
_MIDDLE = 1 << (BITS - 1)

Array = npt.NDArray[Any]
Levels = npt.NDArray[np.int64]


def write_gptq(out: Path, shape: tiny.Shape | None = None, name: str = "model") -> Path:
    """Write the random Llama as GPTQ, symmetric, into the folder; no tokenizer."""
    recipe = {
        "quant_method": "gptq",
        "bits": BITS,
        "group_size": GROUP,
        "desc_act": False,
        "sym": True,
        "checkpoint_format": "gptq",
    }
    return _write(out, shape or tiny.Shape(), recipe, name)


def write_awq(out: Path, shape: tiny.Shape | None = None) -> Path:
    """Write the random Llama as AWQ (gemm), with zero points, into the folder; no tokenizer."""
    recipe = {
        "quant_method": "awq",
        "bits": BITS,
        "group_size": GROUP,
        "version": "gemm",
        "zero_point": True,
    }
    return _write(out, shape or tiny.Shape(), recipe, "model")


def gptq(weight: tensors.FloatArray) -> dict[str, Array]:
    """Return a linear weight [outputs, inputs] as GPTQ stores it."""
    groups = _groups(weight)
    scales = np.abs(groups).max(axis=2) / (_MIDDLE - 1)
    levels = np.clip(np.rint(groups / scales[..., None]) + _MIDDLE, 0, _STEPS)
    outputs, inputs = weight.shape
    zeros = np.full((inputs // GROUP, outputs), _MIDDLE - 1)
    return {
        "qweight": _packed(levels.reshape(outputs, inputs).astype(np.int64)).T,
        "qzeros": _packed(zeros),
        "scales": scales.T.astype(np.float16),
        "g_idx": (np.arange(inputs) // GROUP).astype(np.int32),
    }


def awq(weight: tensors.FloatArray) -> dict[str, Array]:
    """Return a linear weight [outputs, inputs] as AutoAWQ stores it."""
    groups = _groups(weight)
    low, high = groups.min(axis=2), groups.max(axis=2)
    scales = (high - low) / _STEPS
    zeros = np.clip(np.rint(-low / scales), 0, _STEPS)
    levels = np.clip(np.rint(groups / scales[..., None]) + zeros[..., None], 0, _STEPS)
    rows = levels.reshape(weight.shape).T.astype(np.int64)
    return {
        "qweight": _packed(rows, AWQ_ORDER),
        "qzeros": _packed(zeros.T.astype(np.int64), AWQ_ORDER),
        "scales": scales.T.astype(np.float16),
    }


def _write(out: Path, shape: tiny.Shape, recipe: dict[str, Any], name: str) -> Path:
    """Write config.json and the weights."""
    out.mkdir(parents=True, exist_ok=True)
    config = tiny.config(shape) | {"quantization_config": recipe, "torch_dtype": "float16"}
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    pack = gptq if recipe["quant_method"] == "gptq" else awq
    stored: dict[str, Array] = {}
    for key, values in tiny.weights(shape).items():
        module = key.removesuffix(".weight")
        if module.endswith("_proj"):
            stored |= {f"{module}.{part}": array for part, array in pack(values).items()}
        else:
            stored[key] = values.astype(np.float16)
    path = out / f"{name}.safetensors"
    contiguous = {key: np.ascontiguousarray(array) for key, array in stored.items()}
    save_file(contiguous, path, metadata={"format": "pt"})
    path.chmod(0o644)
    return out


def _groups(weight: tensors.FloatArray) -> tensors.FloatArray:
    """Return a weight as [outputs, groups, inputs of a group]."""
    return weight.reshape(weight.shape[0], -1, GROUP)


def _packed(levels: Levels, order: tuple[int, ...] = tuple(range(8))) -> npt.NDArray[np.int32]:
    """Return levels [rows, columns] packed along the columns, eight to a word."""
    words = levels.reshape(levels.shape[0], -1, len(order))
    places = BITS * np.argsort(order)
    packed: npt.NDArray[np.int32] = (words << places).sum(axis=2).astype(np.uint32).view(np.int32)
    return packed
