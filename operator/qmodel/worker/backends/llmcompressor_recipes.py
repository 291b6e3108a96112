"""Our recipes in llm-compressor's terms."""

from dataclasses import replace
from typing import Any

from llmcompressor.modifiers import Modifier
from llmcompressor.modifiers.gptq import GPTQModifier
from llmcompressor.modifiers.quantization import QuantizationModifier
from llmcompressor.modifiers.transform.awq import AWQMapping, AWQModifier
from llmcompressor.modifiers.transform.awq.dynamic_mappings import get_layer_mappings_from_model
from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier
from llmcompressor.modifiers.transform.smoothquant.utils import MAPPINGS_REGISTRY
from transformers import PreTrainedModel

from qmodel.api.methods import AWQOptions, GPTQOptions, Method
from qmodel.worker.backends import language_part
from qmodel.worker.errors import TaskInvalid
from qmodel.worker.task import Recipe

PRESETS = {Method.FP8: "FP8_DYNAMIC", Method.NVFP4: "NVFP4", Method.MXFP4: "MXFP4"}
"""Schemes of the library that have no options here."""
_LINEAR = "Linear"
_GEMMA_NORM = ".pre_feedforward_layernorm"
_ORDER = "static"
"""Columns are quantized by falling activation and each stored in its own place: serving is as fast
as without, and without it GPTQ is hardly better than rounding (on SmolLM2 in groups of 64, a
divergence of 0.44 against 0.45; with it, 0.32)."""


def modifiers(recipe: Recipe, model: PreTrainedModel, decoder: str | None) -> list[Modifier]:
    """Return what the library carries out, in order.

    Parameters
    ----------
    recipe
        What was asked.
    model
        With a linear layer for each expert.
    decoder
        Name of its part that reads text; None: all of it does.

    Raises
    ------
    TaskInvalid
        If the method is not this library's.
    """
    ignore = recipe.ignore
    if recipe.method is Method.AWQ:
        scheme = _grouped(recipe.awq or AWQOptions())
        scaled = AWQModifier(mappings=_mappings(model, decoder))
        return [scaled, QuantizationModifier(config_groups=scheme, ignore=ignore)]
    if recipe.method is Method.GPTQ:
        options = recipe.gptq or GPTQOptions()
        order = _ORDER if options.desc_act_order else None
        return [GPTQModifier(config_groups=_grouped(options), ignore=ignore, actorder=order)]
    if recipe.method is Method.INT8:
        return [*_smoothing(model), _preset("W8A8", ignore)]
    if recipe.method in PRESETS:
        return [_preset(PRESETS[recipe.method], ignore)]
    message = f"llm-compressor has no method {recipe.method}"
    raise TaskInvalid(message)


def _grouped(options: AWQOptions | GPTQOptions) -> dict[str, Any]:
    """Return integer weights with a scale for each group, or for each row."""
    weights: dict[str, Any] = {
        "num_bits": options.bits,
        "type": "int",
        "symmetric": options.symmetric,
        "strategy": "channel",
    }
    if options.group_size > 0:
        weights |= {"strategy": "group", "group_size": options.group_size}
    return {"group_0": {"targets": [_LINEAR], "weights": weights}}


def _mappings(model: PreTrainedModel, decoder: str | None) -> list[AWQMapping] | None:
    """Return which layers AWQ scales together; None: what the library knows of the architecture."""
    if decoder is None:
        return None
    return [
        replace(
            mapping,
            smooth_layer=language_part.within(mapping.smooth_layer, decoder),
            balance_layers=[language_part.within(n, decoder) for n in mapping.balance_layers],
        )
        for mapping in get_layer_mappings_from_model(model)
    ]


def _smoothing(model: PreTrainedModel) -> list[Modifier]:
    """Return SmoothQuant where the library knows which layers feed which.

    Elsewhere it would guess, and a wrong guess changes what the model computes. What it knows of
    Gemma 2 and 3 is wrong: there another norm feeds the feed-forward layers.
    """
    if any(name.endswith(_GEMMA_NORM) for name, _ in model.named_modules()):
        return []
    return [SmoothQuantModifier()] if type(model).__name__ in MAPPINGS_REGISTRY else []


def _preset(scheme: str, ignore: list[str]) -> Modifier:
    return QuantizationModifier(targets=[_LINEAR], scheme=scheme, ignore=ignore)
