"""How quantized weights are stored: the name of the type, and how many share a scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BITS_AND_BYTES_GROUP = 64
"""Block size of bitsandbytes' 4-bit types."""

_GGUF_GROUPS = {"Q2_K": 16, "Q3_K": 16, "Q6_K": 16, "Q2_0": 64, "Q1_0": 128, "TQ1_0": 256}
_GGUF_GROUPS |= {"TQ2_0": 256, "NVFP4": 16}
_GGUF_GROUP = 32
"""Weights that share a scale in most of llama.cpp's types, super-blocks being made of these."""


@dataclass(frozen=True)
class Storage:
    """The storage of one weight."""

    type: str
    group_size: int
    """Weights that share a scale; -1: all of a row."""


def of_config(config: Mapping[str, Any]) -> Storage | None:
    """Return the storage that a config.json's `quantization_config` names; None if unknown.

    Of several groups of compressed-tensors, the first.
    """
    match config.get("quant_method"):
        case "bitsandbytes" if config.get("load_in_4bit"):
            return Storage(str(config.get("bnb_4bit_quant_type", "fp4")), BITS_AND_BYTES_GROUP)
        case "bitsandbytes":
            return Storage("int8", -1)
        case "awq" | "gptq" as method:
            return Storage(f"{method} int{config.get('bits')}", int(config.get("group_size") or -1))
        case "compressed-tensors":
            return _compressed(config)
        case _:
            return None


def of_gguf(tensor_type: str) -> Storage:
    """Return the storage of one of llama.cpp's types."""
    return Storage(tensor_type, _GGUF_GROUPS.get(tensor_type, _GGUF_GROUP))


def _compressed(config: Mapping[str, Any]) -> Storage | None:
    """Return the storage of compressed-tensors weights."""
    groups = [group for group in (config.get("config_groups") or {}).values() if group["weights"]]
    if not groups:
        return None
    weights = groups[0]["weights"]
    form = str(groups[0].get("format") or config.get("format") or "")
    kind = f"{weights['type']}{weights['num_bits']}"
    named = {"nvfp4-pack-quantized": "nvfp4", "mxfp4-pack-quantized": "mxfp4"}
    return Storage(named.get(form, kind), int(weights.get("group_size") or -1))
