"""Whether a recipe can work: on this model's widths, in the engine, on the hardware.

What stands here was read in vLLM 0.32 (which kernel takes which bits, groups and devices) and is
told before anything is fetched, with a value that would work where there is one. What is not known
yet, such as the hardware before an accelerator was chosen, is not judged.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from qmodel.api.methods import (
    BLOCK_WEIGHTS,
    GROUP_SIZES,
    AWQOptions,
    Backend,
    GPTQOptions,
    Method,
)
from qmodel.api.serving import Engine
from qmodel.api.status import AcceleratorStatus
from qmodel.planner.cpu_architectures import NOT_ON_CPU
from qmodel.planner.engine import tensor_parallel_size
from qmodel.planner.model import Node
from qmodel.planner.problem import Problem
from qmodel.planner.recipes import DEFAULT_IGNORE
from qmodel.planner.splitting import fitting, obstacle
from qmodel.sizing.bits_per_weight import ROW_MULTIPLES
from qmodel.worker.legacy_limits import refusal
from qmodel.worker.report import Inspection, SourceQuantization
from qmodel.worker.task import Recipe

Capability = tuple[int, int]
"""Major and minor number of CUDA's compute capability."""

GROUP_DOES_NOT_FIT = "GroupSizeDoesNotFit"
TYPE_DOES_NOT_FIT = "TypeDoesNotFit"
ENGINE_CANNOT_LOAD = "EngineCannotLoad"
ACCELERATOR_CANNOT_RUN = "AcceleratorCannotRun"
GPU_NEEDED = "GPUNeeded"
BACKEND_CANNOT_QUANTIZE = "BackendCannotQuantize"

_MAJOR_LABEL = "nvidia.com/gpu.compute.major"
_MINOR_LABEL = "nvidia.com/gpu.compute.minor"
_TURING, _AMPERE = (7, 5), (8, 0)
_LEAST = {
    Method.AWQ: _TURING, Method.GPTQ: _TURING, Method.INT8: _TURING, Method.FP8: _TURING,
    Method.NVFP4: _TURING, Method.MXFP4: _AMPERE, Method.BITS_AND_BYTES: (7, 0),
}  # fmt: skip
"""Compute capability that vLLM needs, if only to unpack the weights before it multiplies."""
_NATIVE = {Method.FP8: (8, 9), Method.NVFP4: (10, 0), Method.MXFP4: (10, 0)}
"""From here on it multiplies in the format itself."""
_FORMAT_METHODS = {
    "awq": Method.AWQ, "gptq": Method.GPTQ, "fp8": Method.FP8, "mxfp4": Method.MXFP4,
    "bitsandbytes": Method.BITS_AND_BYTES,
}  # fmt: skip
_FORMATS = (
    *_FORMAT_METHODS, "compressed-tensors", "modelopt", "quark", "torchao", "auto-round", "inc",
)  # fmt: skip
"""`quant_method` values that vLLM loads without being asked twice."""

_GPU_GROUPS = {4: (-1, 32, 64, 128, 256), 8: (-1, 32, 64, 128)}
_CPU_GROUPS = {4: (-1, 16, 32, 64, 128, 256)}
"""Group sizes by bits that vLLM has kernels for."""
_LARGEST_USUAL_GROUP = 128
_CPU_MULTIPLE = 32
"""Weights of 4 bits are multiplied on a CPU in tiles of that many inputs."""
_PACKED = "pack-quantized"
"""How compressed-tensors stores integers that are multiplied with 16-bit activations."""
_MODELOPT = (
    "FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "MIXED_PRECISION", "MXFP8", "NVFP4",
    "W4A16_NVFP4",
)  # fmt: skip
"""Algorithms of ModelOpt that vLLM loads (quantization/modelopt.py)."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the model will run on, as far as it is known."""

    gpus: int | None = None
    """GPUs of one server; 0: a CPU; None: not chosen yet."""
    capability: Capability | None = None
    """The highest among the nodes that could be chosen; None: not published."""
    gpu_in_cluster: bool = True
    tensor_parallel_size: int = 1


def hardware(
    chosen: AcceleratorStatus | None, nodes: Sequence[Node], resource: str, parallel: int | None
) -> Hardware:
    """Return what is known of the hardware.

    Parameters
    ----------
    chosen
        The accelerator, once it is chosen.
    nodes
        All nodes of the cluster.
    resource
        Extended resource that a GPU is asked for by.
    parallel
        `spec.serving.tensorParallelSize`; without it a server spreads over its GPUs.
    """
    selector = (chosen.node_selector if chosen else {}).items()
    having = [n for n in nodes if n.allocatable.get(resource, "0") not in ("", "0")]
    able = [node for node in having if selector <= node.labels.items()]
    known = [found for node in able if (found := _capability(node))]
    gpus = None if chosen is None else chosen.count
    return Hardware(
        gpus=gpus,
        capability=max(known, default=None),
        gpu_in_cluster=bool(having),
        tensor_parallel_size=tensor_parallel_size(parallel, gpus or 0),
    )


def problem(recipe: Recipe, source: Inspection, engine: Engine, device: Hardware) -> Problem | None:
    """Return the reason and the message why this recipe cannot work, or None.

    Parameters
    ----------
    recipe
        How the artifact is made, every default filled in.
    source
        What the headers of the model say.
    engine
        What will serve it.
    device
        What is known of the hardware.
    """
    if engine is Engine.LLAMA_CPP:
        return _gguf(recipe, source)
    if device.gpus == 0 and source.architecture in NOT_ON_CPU:
        return ENGINE_CANNOT_LOAD, (
            f"vLLM serves {source.architecture} on GPUs only: its image for CPUs lacks libraries"
            " that this family imports, such as torchvision. Use accelerator.type GPU, or method"
            " GGUF"
        )
    if source.quantization is not None:
        return _taken(source, device) or _splitting(source, device)
    return (
        _maker(recipe, source, device)
        or _runs(recipe.method, device)
        or _splitting(source, device)
        or _groups(recipe, source, device)
    )


def _gguf(recipe: Recipe, source: Inspection) -> Problem | None:
    """Return why llama.cpp cannot write the asked type for this model."""
    wanted = recipe.gguf.type if recipe.gguf else None
    multiple = ROW_MULTIPLES.get(wanted, 1) if wanted else 1
    if source.hidden_size % multiple == 0:
        return None
    return TYPE_DOES_NOT_FIT, (
        f"spec.quantization.gguf.type is {wanted}, which needs rows divisible by {multiple}, but "
        f"the model's hidden size is {source.hidden_size}: use another type, such as Q2_K"
    )


def _maker(recipe: Recipe, source: Inspection, device: Hardware) -> Problem | None:
    """Return why the library cannot make what was asked, or the engine not load what it makes."""
    refused = _auto_gptq(recipe, device)
    if refused is not None:
        return refused
    why = refusal(recipe, source.model_type)
    if why is None:
        return None
    return BACKEND_CANNOT_QUANTIZE, why


def _auto_gptq(recipe: Recipe, device: Hardware) -> Problem | None:
    """Return why AutoGPTQ cannot run here, or vLLM not load what it makes."""
    if recipe.backend is not Backend.AUTO_GPTQ or recipe.gptq is None:
        return None
    if not device.gpu_in_cluster or device.gpus == 0:
        where = (
            "the model runs on a CPU" if device.gpu_in_cluster else "no node of the cluster has one"
        )
        return GPU_NEEDED, (
            f"spec.quantization.backend AutoGPTQ quantizes on a CUDA GPU only, and {where}:"
            " use backend LLMCompressor, which makes GPTQ on a CPU too"
        )
    options = recipe.gptq
    ordered = bool(options.desc_act_order) and options.group_size != -1
    what = "spec.quantization.backend AutoGPTQ"
    return _gptq_format(options.bits, what, symmetric=options.symmetric, ordered=ordered)


def _gptq_format(bits: int, what: str, *, symmetric: bool, ordered: bool) -> Problem | None:
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


def _splitting(source: Inspection, device: Hardware) -> Problem | None:
    """Return why vLLM cannot split the model over the GPUs."""
    gpus = device.tensor_parallel_size
    odd = obstacle(source, gpus)
    if odd is None:
        return None
    *others, last = map(str, fitting(source))
    able = f"{', '.join(others)} or {last}" if others else last
    return ENGINE_CANNOT_LOAD, (
        f"vLLM splits every layer, but the model has {odd}, which {gpus} GPUs"
        f" cannot share: set spec.accelerator.count {able}, or one of these as"
        " spec.serving.tensorParallelSize, beyond which GPUs stay idle"
    )


def _groups(recipe: Recipe, source: Inspection, device: Hardware) -> Problem | None:
    """Return why the group size or the bits fit neither the model nor the engine's kernels."""
    if recipe.grid is not None:
        return _kernels(recipe, recipe.grid, source, device) or _divides(
            f"spec.quantization.{recipe.method.lower()}.groupSize", source, recipe, device
        )
    return _divides(f"the block of method {recipe.method}", source, recipe, device)


def _kernels(
    recipe: Recipe, options: AWQOptions | GPTQOptions, source: Inspection, device: Hardware
) -> Problem | None:
    """Return why vLLM has no kernel for these bits and groups on this hardware."""
    if device.gpus is None:
        return None
    block = recipe.method.lower()
    where = "a GPU" if device.gpus else "a CPU"
    kernels = _GPU_GROUPS if device.gpus else _CPU_GROUPS
    groups = kernels.get(options.bits)
    if groups is None:
        able = " or ".join(map(str, kernels))
        return ENGINE_CANNOT_LOAD, (
            f"spec.quantization.{block}.bits is {options.bits}, but on {where} vLLM multiplies"
            f" weights of {able} bits: use {able}"
        )
    if options.bits == 8 and not options.symmetric:  # noqa: PLR2004  bits
        return ENGINE_CANNOT_LOAD, (
            f"spec.quantization.{block} asks for 8 bits, asymmetric, but vLLM multiplies 8 bits"
            " symmetric only: set symmetric true, or bits 4"
        )
    if options.group_size not in groups:
        fitting = _fitting(source.linear_widths, groups, device)
        return ENGINE_CANNOT_LOAD, (
            f"spec.quantization.{block}.groupSize is {options.group_size}, which vLLM does not"
            f" multiply on {where}: use {fitting}"
        )
    odd = _odd(recipe, source, lambda width: width % _CPU_MULTIPLE == 0)
    if not device.gpus and odd:
        return ENGINE_CANNOT_LOAD, (
            f"on a CPU vLLM multiplies weights of {options.bits} bits with inputs divisible by"
            f" {_CPU_MULTIPLE}, but {_named(odd[0], source)} is not: use method INT8 or GGUF"
        )
    return None


def _divides(what: str, source: Inspection, recipe: Recipe, device: Hardware) -> Problem | None:
    """Return which width a group does not divide, and a size that divides all of them."""
    size = recipe.group_size
    odd = _odd(recipe, source, lambda width: size <= 0 or _splits(width, size, device))
    if not odd:
        return None
    shared = ""
    if odd[0] % size == 0:
        shared = f" shared by {device.tensor_parallel_size} GPUs"
    advice = "use another method, such as INT8"
    if recipe.grid is not None:
        allowed = _GPU_GROUPS[4] if device.gpus else _CPU_GROUPS[4]
        advice = f"use {_fitting(source.linear_widths, allowed, device)}"
    return GROUP_DOES_NOT_FIT, (
        f"{what} is {size}, but {_named(odd[0], source)}{shared} is not divisible by {size}:"
        f" {advice}"
    )


def _odd(recipe: Recipe, source: Inspection, fits: Callable[[int], bool]) -> list[int]:
    """Return the widths that do not fit.

    Where the user ignores layers, those may be the ones, unless nothing would be left.
    """
    odd = [width for width in source.linear_widths if not fits(width)]
    ignoring = _ignores_a_width(recipe.ignore, source)
    return [] if ignoring and len(odd) < len(source.linear_widths) else odd


def _ignores_a_width(ignore: Iterable[str], source: Inspection) -> bool:
    """Whether all modules of one width may be ignored.

    A pattern may be all of them, and so may one name where layers differ, as those of a mixture of
    experts do. Where they are alike it takes a name for each layer.
    """
    named = set(ignore) - set(DEFAULT_IGNORE)
    patterns = {name for name in named if name.startswith("re:")}
    return bool(patterns) or len(named) >= (1 if source.experts else source.layers)


def _splits(width: int, size: int, device: Hardware) -> bool:
    """Whether groups divide a row, and each GPU's share of one that is split."""
    share = width // device.tensor_parallel_size
    return width % size == 0 and (width % device.tensor_parallel_size != 0 or share % size == 0)


def _fitting(widths: Iterable[int], allowed: Sequence[int], device: Hardware) -> str:
    """Return the group sizes that would work, the two largest usual ones first."""
    rows = list(widths)
    fitting = [
        str(size)
        for size in sorted(GROUP_SIZES, key=lambda size: size > _LARGEST_USUAL_GROUP)
        if size in allowed and all(_splits(width, size, device) for width in rows)
    ]
    return " or ".join(fitting[:2]) or "-1 (one group a row)"


def _named(width: int, source: Inspection) -> str:
    """Return a width as people know it."""
    kind = "hidden size" if width == source.hidden_size else "input width"
    return f"the model's {kind} {width}"


def _runs(method: Method, device: Hardware, what: str = "") -> Problem | None:
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


def _taken(source: Inspection, device: Hardware) -> Problem | None:
    """Return why vLLM cannot serve a source that is quantized already."""
    found = source.quantization
    if found is None:
        return None
    what = f"the source ({found.description})"
    if found.format not in _FORMATS:
        return ENGINE_CANNOT_LOAD, (
            f"{what} is in the format {found.format}, which vLLM does not load: it loads"
            f" {', '.join(_FORMATS)}"
        )
    unloadable = _taken_format(found, what) or _taken_bits(found, what, device)
    return unloadable or _runs(_method_of(found), device, what)


def _taken_format(found: SourceQuantization, what: str) -> Problem | None:
    """Return why vLLM does not load such a file on any hardware."""
    if found.format == "gptq" and found.bits is not None:
        return _gptq_format(
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


def _taken_bits(found: SourceQuantization, what: str, device: Hardware) -> Problem | None:
    """Return why vLLM has no kernel for weights of these bits, which stay packed."""
    stays_packed = found.format in ("awq", "gptq") or found.packing == _PACKED
    if not stays_packed or found.bits is None:
        return None
    if found.bits not in _GPU_GROUPS:
        able = " or ".join(map(str, _GPU_GROUPS))
        return ENGINE_CANNOT_LOAD, (
            f"{what} has {found.bits} bits, but vLLM multiplies weights of {able} bits: use"
            " another repository, or the unquantized one with a method of spec.quantization"
        )
    if device.gpus == 0 and found.bits not in _CPU_GROUPS:
        return ENGINE_CANNOT_LOAD, (
            f"{what} is multiplied by vLLM on GPUs only, not on a CPU, which takes 4 bits: set"
            " spec.accelerator.type GPU, or use a repository of 4 bits"
        )
    return None


def _method_of(found: SourceQuantization) -> Method:
    """Return the method that makes such a format; None where that cannot be told."""
    packing = (found.packing or "").lower()
    for method in BLOCK_WEIGHTS:
        if method.lower() in packing:
            return method
    return _FORMAT_METHODS.get(found.format, Method.NONE)


def _capability(node: Node) -> Capability | None:
    """Return what GPU feature discovery (or a person) labelled a node with."""
    major, minor = node.labels.get(_MAJOR_LABEL, ""), node.labels.get(_MINOR_LABEL, "0")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def _dotted(capability: Capability) -> str:
    return ".".join(map(str, capability))
