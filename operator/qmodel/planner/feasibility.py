"""Whether a recipe can work: on this model's widths, in the engine, on the hardware.

It is told before anything is fetched, with a value that would work where there is one. What is not
known yet, such as the hardware before an accelerator was chosen, is not judged.
"""

from collections.abc import Callable, Iterable, Sequence

from qmodel.api.methods import GROUP_SIZES, AWQOptions, Backend, GPTQOptions
from qmodel.api.serving import Engine
from qmodel.planner import experts, splitting, taken, torch_models
from qmodel.planner.cpu_architectures import NOT_ON_CPU
from qmodel.planner.hardware import Hardware
from qmodel.planner.kernels import (
    CPU_GROUPS,
    ENGINE_CANNOT_LOAD,
    GPU_GROUPS,
    gptq_format,
    runs,
    splits,
)
from qmodel.planner.problem import Problem
from qmodel.planner.recipes import DEFAULT_IGNORE
from qmodel.sizing.bits_per_weight import ROW_MULTIPLES
from qmodel.worker.legacy_limits import refusal
from qmodel.worker.report import Inspection
from qmodel.worker.task import Recipe

GROUP_DOES_NOT_FIT = "GroupSizeDoesNotFit"
TYPE_DOES_NOT_FIT = "TypeDoesNotFit"
GPU_NEEDED = "GPUNeeded"
BACKEND_CANNOT_QUANTIZE = "BackendCannotQuantize"

_LARGEST_USUAL_GROUP = 128
_CPU_MULTIPLE = 32
"""Weights of 4 bits are multiplied on a CPU in tiles of that many inputs."""


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
        return taken.problem(source, source.quantization, device)
    return (
        _maker(recipe, source, device)
        or experts.problem(recipe, source)
        or runs(recipe.method, device)
        or splitting.problem(source, device)
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
    why = refusal(recipe, source.model_type) or torch_models.refusal(recipe, source)
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
    return gptq_format(options.bits, what, symmetric=options.symmetric, ordered=ordered)


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
    kernels = GPU_GROUPS if device.gpus else CPU_GROUPS
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
    odd = _odd(recipe, source, lambda width: size <= 0 or splits(width, size, device))
    if not odd:
        return None
    shared = ""
    if odd[0] % size == 0:
        shared = f" shared by {device.tensor_parallel_size} GPUs"
    advice = "use another method, such as INT8"
    if recipe.grid is not None:
        allowed = GPU_GROUPS[4] if device.gpus else CPU_GROUPS[4]
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


def _fitting(widths: Iterable[int], allowed: Sequence[int], device: Hardware) -> str:
    """Return the group sizes that would work, the two largest usual ones first."""
    rows = list(widths)
    fitting = [
        str(size)
        for size in sorted(GROUP_SIZES, key=lambda size: size > _LARGEST_USUAL_GROUP)
        if size in allowed and all(splits(width, size, device) for width in rows)
    ]
    return " or ".join(fitting[:2]) or "-1 (one group a row)"


def _named(width: int, source: Inspection) -> str:
    """Return a width as people know it."""
    kind = "hidden size" if width == source.hidden_size else "input width"
    return f"the model's {kind} {width}"
