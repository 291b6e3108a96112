"""What vLLM multiplies on which hardware, whoever quantized it.

Read in vLLM 0.32: which kernel takes which bits, groups and devices.
"""

from qmodel.api.methods import Method
from qmodel.planner.hardware import Capability, Hardware
from qmodel.planner.problem import Problem

ENGINE_CANNOT_LOAD = "EngineCannotLoad"
ACCELERATOR_CANNOT_RUN = "AcceleratorCannotRun"

GPU_GROUPS = {4: (-1, 32, 64, 128, 256), 8: (-1, 32, 64, 128)}
CPU_GROUPS = {4: (-1, 16, 32, 64, 128, 256)}
"""Group sizes by bits that vLLM has kernels for."""

_TURING, _AMPERE = (7, 5), (8, 0)
_LEAST = {
    Method.AWQ: _TURING, Method.GPTQ: _TURING, Method.INT8: _TURING, Method.FP8: _TURING,
    Method.NVFP4: _TURING, Method.MXFP4: _AMPERE, Method.BITS_AND_BYTES: (7, 0),
}  # fmt: skip
"""Compute capability that vLLM needs, if only to unpack the weights before it multiplies."""
_NATIVE = {Method.FP8: (8, 9), Method.NVFP4: (10, 0), Method.MXFP4: (10, 0)}
"""From here on it multiplies in the format itself."""


def runs(method: Method, device: Hardware, what: str = "") -> Problem | None:
    """Return why the hardware cannot run what the method makes."""
    what = what or f"method {method}"
    if device.gpus is None:
        return None
    if device.gpus == 0:
        if method not in (Method.NVFP4, Method.MXFP4):
            return None
        return ACCELERATOR_CANNOT_RUN, (
            f"{what} is served by vLLM on GPUs only, and the model runs on a CPU:"
            " use method AWQ or INT8, or set spec.accelerator.type GPU"
        )
    if method is Method.BITS_AND_BYTES and device.tensor_parallel_size > 1:
        return ENGINE_CANNOT_LOAD, (
            f"vLLM does not split {what} over {device.tensor_parallel_size} GPUs: set"
            " spec.accelerator.count 1 and no tensorParallelSize, or use method AWQ"
        )
    least = _LEAST.get(method)
    if least is None or device.capability is None or device.capability >= least:
        return None
    native = f" ({_dotted(_NATIVE[method])} to multiply in it)" if method in _NATIVE else ""
    return ACCELERATOR_CANNOT_RUN, (
        f"{what} needs GPUs of compute capability {_dotted(least)}{native}, but the cluster's have"
        f" at most {_dotted(device.capability)}: use method GGUF, or other nodes"
        " (spec.accelerator.nodeSelector)"
    )


def gptq_format(bits: int, what: str, *, symmetric: bool, ordered: bool) -> Problem | None:
    """Return why vLLM does not load AutoGPTQ's format with these options."""
    if ordered:
        return ENGINE_CANNOT_LOAD, (
            f"{what} with descActOrder and groups is not loaded by vLLM any more: use groupSize -1,"
            " descActOrder false, or backend LLMCompressor, which stores the order statically"
        )
    if bits not in (4, 8) or not symmetric:
        kind = f"{bits} bits, {'symmetric' if symmetric else 'asymmetric'}"
        return ENGINE_CANNOT_LOAD, (
            f"{what} has {kind}, but vLLM loads its format with 4 or 8 bits and symmetric only"
        )
    return None


def splits(width: int, size: int, device: Hardware) -> bool:
    """Whether groups divide a row, and each GPU's share of one that is split."""
    share = width // device.tensor_parallel_size
    return width % size == 0 and (width % device.tensor_parallel_size != 0 or share % size == 0)


def _dotted(capability: Capability) -> str:
    return ".".join(map(str, capability))
