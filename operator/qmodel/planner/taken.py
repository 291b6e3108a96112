"""Whether vLLM can serve a source that is quantized already."""

from qmodel.api.methods import BLOCK_WEIGHTS, Method
from qmodel.planner import splitting
from qmodel.planner.hardware import Hardware
from qmodel.planner.kernels import CPU_GROUPS, ENGINE_CANNOT_LOAD, GPU_GROUPS, gptq_format, runs
from qmodel.planner.problem import Problem
from qmodel.worker.report import Inspection, SourceQuantization

_FORMAT_METHODS = {
    "awq": Method.AWQ, "gptq": Method.GPTQ, "fp8": Method.FP8, "mxfp4": Method.MXFP4,
    "bitsandbytes": Method.BITS_AND_BYTES,
}  # fmt: skip
_FORMATS = (
    *_FORMAT_METHODS, "compressed-tensors", "modelopt", "quark", "torchao", "auto-round", "inc",
)  # fmt: skip
"""`quant_method` values that vLLM loads without being asked twice."""
_PACKED = "pack-quantized"
"""How compressed-tensors stores integers that are multiplied with 16-bit activations."""
_MODELOPT = (
    "FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "MIXED_PRECISION", "MXFP8", "NVFP4",
    "W4A16_NVFP4",
)  # fmt: skip
"""Algorithms of ModelOpt that vLLM loads (quantization/modelopt.py)."""


def problem(source: Inspection, found: SourceQuantization, device: Hardware) -> Problem | None:
    """Return the reason and the message why vLLM cannot serve it here, or None.

    Parameters
    ----------
    source
        What the headers of the model say.
    found
        How it is quantized.
    device
        What is known of the hardware.
    """
    what = f"the source ({found.description})"
    if found.format not in _FORMATS:
        return ENGINE_CANNOT_LOAD, (
            f"{what} is in the format {found.format}, which vLLM does not load: it loads"
            f" {', '.join(_FORMATS)}"
        )
    group_size = (found.group_size or 1) if _stays_packed(found) else 1
    return (
        _format(found, what)
        or _bits(found, what, device)
        or runs(_method_of(found), device, what)
        or splitting.problem(source, device, group_size)
    )


def _format(found: SourceQuantization, what: str) -> Problem | None:
    """Return why vLLM does not load such a file on any hardware."""
    if found.format == "gptq" and found.bits is not None:
        return gptq_format(
            found.bits,
            what,
            symmetric=found.symmetric is not False,
            ordered=found.act_order and found.group_size is not None,
        )
    if found.format == "awq" and found.bits != 4:  # noqa: PLR2004  bits
        return ENGINE_CANNOT_LOAD, f"{what} has {found.bits} bits, but vLLM loads AWQ of 4 bits"
    if found.format == "modelopt" and found.packing and found.packing.upper() not in _MODELOPT:
        return ENGINE_CANNOT_LOAD, (
            f"{what} is made by an algorithm of ModelOpt that vLLM does not load: it loads"
            f" {', '.join(_MODELOPT)}"
        )
    return None


def _bits(found: SourceQuantization, what: str, device: Hardware) -> Problem | None:
    """Return why vLLM has no kernel for packed weights of these bits."""
    if not _stays_packed(found) or found.bits is None:
        return None
    if found.bits not in GPU_GROUPS:
        able = " or ".join(map(str, GPU_GROUPS))
        return ENGINE_CANNOT_LOAD, (
            f"{what} has {found.bits} bits, but vLLM multiplies weights of {able} bits: use"
            " another repository, or the unquantized one with a method of spec.quantization"
        )
    if device.gpus == 0 and found.bits not in CPU_GROUPS:
        return ENGINE_CANNOT_LOAD, (
            f"{what} is multiplied by vLLM on GPUs only, not on a CPU, which takes 4 bits: set"
            " spec.accelerator.type GPU, or use a repository of 4 bits"
        )
    return None


def _stays_packed(found: SourceQuantization) -> bool:
    """Whether integers are unpacked only while they are multiplied."""
    return found.format in ("awq", "gptq") or found.packing == _PACKED


def _method_of(found: SourceQuantization) -> Method:
    """Return the method that makes such a format; None where that cannot be told."""
    packing = (found.packing or "").lower()
    for method in BLOCK_WEIGHTS:
        if method.lower() in packing:
            return method
    return _FORMAT_METHODS.get(found.format, Method.NONE)
