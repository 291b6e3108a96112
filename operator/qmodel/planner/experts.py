"""Whether the judge can load what llm-compressor makes of a mixture of experts.

It saves each expert's weights as a linear layer, and transformers 5 fuses those of a layer into one
tensor as it loads them. Some formats have tensors that it does not fuse, and some families' experts
have other names in their files than llm-compressor gives them. What was loaded in spite of that
would be another model, so it is refused here, before hours are spent on it.

Tried with llm-compressor 0.14 and transformers 5.17 on small models of both kinds of families.
"""

import re

from qmodel.api.methods import Backend, Method
from qmodel.planner.problem import Problem
from qmodel.worker.report import Inspection
from qmodel.worker.task import Recipe

EXPERTS_DO_NOT_LOAD = "ExpertsDoNotLoad"

_RENAMED = ("lfm2_moe", "minimax", "minimax_m2", "mixtral", "phimoe")
"""Model types whose files call experts' weights w1, w2 and w3; llm-compressor says gate_proj."""
_NOT_FUSED = (Method.INT8, Method.NVFP4)
"""Methods with tensors that transformers does not fuse."""
_EXPERTS = re.compile(r"(?<!shared_)experts")
_ALL_EXPERTS = re.compile(r"re:.*(?<!shared_)experts[\\.*$]*")


def problem(recipe: Recipe, source: Inspection) -> Problem | None:
    """Return the reason and the message why the artifact would not load back, or None.

    Parameters
    ----------
    recipe
        How the artifact is made, every default filled in.
    source
        What the headers of the model say, which is not quantized.
    """
    if not source.experts or recipe.backend is not Backend.LLM_COMPRESSOR:
        return None
    if source.model_type in _RENAMED:
        return EXPERTS_DO_NOT_LOAD, (
            f"what LLMCompressor saves of the experts of {source.model_type} is not loaded back by"
            " transformers, which expects other names, so it cannot be judged: use method GGUF"
        )
    kept = _kept(recipe)
    if kept is not None:
        return EXPERTS_DO_NOT_LOAD, (
            f"spec.quantization.ignore keeps experts ({kept[:200]}), which transformers does not"
            " load back beside what is quantized, so it cannot be judged: leave it out, or use"
            " method FP8 and keep all of them (re:.*experts.*)"
        )
    if recipe.method in _NOT_FUSED:
        return EXPERTS_DO_NOT_LOAD, (
            f"method {recipe.method} gives each of the model's {source.experts} experts tensors"
            " that transformers does not load back, so it cannot be judged: use method FP8, or GPTQ"
            " (symmetric), or GGUF"
        )
    options = recipe.grid
    if options is not None and not options.symmetric:
        block = recipe.method.lower()
        return EXPERTS_DO_NOT_LOAD, (
            f"zero points of the model's {source.experts} experts are not loaded back by"
            f" transformers, so it cannot be judged: set spec.quantization.{block}.symmetric true,"
            " or use method FP8 or GGUF"
        )
    return None


def _kept(recipe: Recipe) -> str | None:
    """Return what keeps experts as they are and so does not load back; None: nothing.

    FP8 stores a weight under the name that it had, so that all experts may stay; of some experts in
    8 bits and others in 16 transformers makes no numbers.
    """
    named = (name for name in recipe.ignore if _EXPERTS.search(name))
    whole = recipe.method is Method.FP8
    return next((n for n in named if not (whole and _ALL_EXPERTS.fullmatch(n))), None)
