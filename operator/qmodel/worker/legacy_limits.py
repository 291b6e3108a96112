"""What AutoAWQ 0.2.9 and AutoGPTQ 0.7.1 can be asked for, and of which models.

No library is needed to tell; where each refusal comes from stands in docs/methods.md.
"""

from collections.abc import Mapping

from qmodel.api.methods import AWQOptions, Backend, GPTQOptions
from qmodel.worker.task import Recipe

LM_HEAD = "lm_head"
ALTERNATIVE = f"use spec.quantization.backend {Backend.LLM_COMPRESSOR.value}"

MODEL_TYPES: Mapping[Backend, frozenset[str]] = {
    Backend.AUTO_AWQ: frozenset({
        "bloom", "cohere", "deepseek_v3", "falcon", "gemma", "gemma2", "gpt_bigcode", "gpt_neox",
        "gptj", "llama", "mistral", "mixtral", "mpt", "opt", "phi3", "qwen2", "qwen3", "qwen3_moe",
        "stablelm", "starcoder2",
    }),
    Backend.AUTO_GPTQ: frozenset({
        "bloom", "codegen", "falcon", "gemma", "gpt2", "gpt_bigcode", "gpt_neox", "gptj", "llama",
        "mistral", "mixtral", "opt", "qwen2",
    }),
}  # fmt: skip
"""Model types that both the library and its transformers 4.51.3 know, as config.json names them.

tests/e2e/test_kernels.py holds them against the images.
"""


def refusal(recipe: Recipe, model_type: str | None) -> str | None:
    """Return why the library cannot do what is asked, and what would work; None if it can.

    Parameters
    ----------
    recipe
        Whichever backend it names: of the others nothing is refused.
    model_type
        As config.json names it; None: not known, and not judged.
    """
    known = MODEL_TYPES.get(recipe.backend) if recipe.backend is not None else None
    if recipe.backend is None or known is None:
        return None
    if model_type is not None and model_type not in known:
        return (
            f"{recipe.backend} does not know models of type {model_type}, only"
            f" {', '.join(sorted(known))}: {ALTERNATIVE}"
        )
    return _options(recipe) or _ignored(recipe.ignore, recipe.backend)


def _options(recipe: Recipe) -> str | None:
    """Return what of the options the library does wrongly or not at all.

    AutoAWQ needs zero points and groups. AutoGPTQ stores each zero point less one, 0 as -1, which
    overwrites the zero points that share its 32-bit word: asymmetric weights come out wrong
    wherever a group has no negative weight.
    """
    if recipe.backend is Backend.AUTO_GPTQ:
        if (recipe.gptq or GPTQOptions()).symmetric:
            return None
        return (
            "AutoGPTQ spoils zero points: set spec.quantization.gptq.symmetric true or"
            f" {ALTERNATIVE}"
        )
    options = recipe.awq or AWQOptions()
    if options.symmetric:
        return (
            "AutoAWQ packs no symmetric weights: set spec.quantization.awq.symmetric false or"
            f" {ALTERNATIVE}"
        )
    if options.group_size < 0:
        return (
            "AutoAWQ needs groups: set spec.quantization.awq.groupSize 128, or 64 or 32 where that"
            f" does not divide the model's rows, or {ALTERNATIVE}"
        )
    return None


def _ignored(ignore: list[str], backend: Backend) -> str | None:
    """Return what cannot be kept: the library quantizes all but the output layer."""
    others = sorted(set(ignore) - {LM_HEAD})
    if not others:
        return None
    return (
        f"{backend} quantizes every linear layer of a block and keeps {LM_HEAD}, so it cannot keep"
        f" {', '.join(others)[:200]}: leave spec.quantization.ignore out or {ALTERNATIVE}"
    )
