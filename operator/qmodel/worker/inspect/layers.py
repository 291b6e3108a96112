"""Layers as their tensors tell them: which attend, which keep a state of fixed size."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from qmodel.worker.errors import SourceInvalid
from qmodel.worker.task import KVLayout

_ROOTS = (
    r"(?:model|language_model|llm|text_model|thinker|transformer|backbone|gpt_neox|decoder|encoder)"
)
SAFETENSORS_LAYER = re.compile(rf"(?:{_ROOTS}\.)*(?:layers|h|blocks)\.(\d{{1,6}})\.(.+)")
GGUF_LAYER = re.compile(r"blk\.(\d{1,6})\.(.+)")

_RECURRENT = re.compile(
    r"(?:^|[._])(?:mamba|linear_attn|A_log|ssm\w*|shortconv|time_mix|conv|att|wkv)(?:[._]|$)"
)
_ATTENDS = re.compile(
    r"(?:^|\.)(?:[kq]_proj|qkv_proj|qkv|Wqkv|W_pack|query_key_value|c_attn|attn_[kq]|attn_qkv"
    r"|kv_a_proj_with_mqa|attn_kv_a_mqa|wqkv|wk)\.weight$"
)
_ATTENDS_BESIDE_STATE = re.compile(r"(?:^|\.)(?:k_proj|attn_k)\.weight$")
"""Some linear layers have a fused qkv; only separate keys are cached beside a state."""
_LINEAR_ATTENTION = re.compile(r"^self_attn\.A_log$")

WINDOW_PERIODS = {
    "afmoe": 4, "cohere2": 4, "cohere2moe": -4, "exaone-moe": 4, "exaone4": 4, "gemma2": 2,
    "gemma3": 6, "gemma3n": 5, "gemma4": 6, "gpt-oss": 2, "granite_swa": 4, "laguna": -4,
    "llama4": 4, "maple": 4, "mellum": 4, "mimo2": 6, "muse-glimmer": 4, "olmo2": 4,
    "plamo3": 8, "smallthinker": -4, "spark2_5": 4, "step35": 4,
}  # fmt: skip
"""Models whose window llama.cpp uses, and of how many layers one attends to everything.

It is the last of them, or the first where the number is negative. Where a model itself tells
each layer, that counts. For every other model llama.cpp caches the whole context in all layers,
whatever window it has (Mistral, Phi-3, Qwen2): so much memory is needed. From its src/models/.
"""

_ARCHITECTURES = {
    "AfmoeForCausalLM": "afmoe", "Cohere2ForCausalLM": "cohere2",
    "Cohere2MoeForCausalLM": "cohere2moe", "ExaoneMoEForCausalLM": "exaone-moe",
    "ExaoneMoeForCausalLM": "exaone-moe", "Exaone4ForCausalLM": "exaone4",
    "Exaone4_5_ForConditionalGeneration": "exaone4",
    "Gemma2ForCausalLM": "gemma2", "Gemma3ForCausalLM": "gemma3",
    "Gemma3ForConditionalGeneration": "gemma3", "Gemma3nForCausalLM": "gemma3n",
    "Gemma3nForConditionalGeneration": "gemma3n", "Gemma4ForCausalLM": "gemma4",
    "Gemma4ForConditionalGeneration": "gemma4", "Gemma4UnifiedForConditionalGeneration": "gemma4",
    "GptOssForCausalLM": "gpt-oss", "GraniteSWAForCausalLM": "granite_swa",
    "GraniteMoeSWAForCausalLM": "granite_swa", "LagunaForCausalLM": "laguna",
    "Llama4ForCausalLM": "llama4", "Llama4ForConditionalGeneration": "llama4",
    "MapleForCausalLM": "maple", "MellumForCausalLM": "mellum",
    "MiMoV2ForCausalLM": "mimo2", "MiMoV2FlashForCausalLM": "mimo2",
    "MuseGlimmerForConditionalGeneration": "muse-glimmer", "Olmo3ForCausalLM": "olmo2",
    "Plamo3ForCausalLM": "plamo3", "PLaMo3ForCausalLM": "plamo3",
    "SmallThinkerForCausalLM": "smallthinker", "Spark2_5ForCausalLM": "spark2_5",
    "Step3p5ForCausalLM": "step35", "Step3p7ForConditionalGeneration": "step35",
}  # fmt: skip
"""The same models as config.json names them."""


class Heads(NamedTuple):
    """What a layer caches of one token."""

    kv_heads: int
    key_dim: int
    value_dim: int
    """0 where keys and values are cached as one (multi-head latent attention)."""


def largest(heads: Iterable[Heads]) -> Heads:
    """Return the most of each size; without layers there are none."""
    return Heads(*(max(sizes) for sizes in zip((0, 0, 0), *heads, strict=True)))


def window_period(architecture: str) -> int | None:
    """Return the period of `WINDOW_PERIODS`, by either name of an architecture."""
    return WINDOW_PERIODS.get(_ARCHITECTURES.get(architecture, architecture))


def layer_numbers(names: Iterable[str], pattern: re.Pattern[str]) -> dict[int, list[str]]:
    """Return each layer's tensors, by number, named within the layer."""
    layers: dict[int, list[str]] = {}
    for name in names:
        if match := pattern.fullmatch(name):
            layers.setdefault(int(match[1]), []).append(match[2])
    return layers


def window_flags(pattern: object, period: int, layers: int, where: str) -> list[bool]:
    """Return for each layer whether it attends to a window.

    Parameters
    ----------
    pattern
        What the model tells: a flag or a name for each layer, a period, or nothing.
    period
        Used where it tells nothing, as in `WINDOW_PERIODS`.
    layers
        Number of layers.
    where
        Key of the pattern, for messages.

    Raises
    ------
    SourceInvalid
        If the pattern does not fit the layers.
    """
    if isinstance(pattern, list):
        if len(pattern) < layers:
            message = f"{where} tells {len(pattern)} layers, the model has {layers}"
            raise SourceInvalid(message)
        return [_is_window(item) for item in pattern[:layers]]
    if isinstance(pattern, int) and not isinstance(pattern, bool) and pattern > 0:
        period = pattern if period > 0 else -pattern
    every = abs(period)
    full = every - 1 if period > 0 else 0
    return [layer % every != full for layer in range(layers)]


def kv_layout(
    layers: Mapping[int, list[str]],
    count: int,
    windows: list[bool],
    window: int,
    heads: list[Heads],
) -> KVLayout:
    """Return what the cache holds.

    Parameters
    ----------
    layers
        Tensors of each layer, as from `layer_numbers`.
    count
        Layers that cache: those beyond share a cache or predict further tokens.
    windows
        For each layer whether it attends to a window; empty: none does.
    window
        Tokens of the window.
    heads
        Of each layer.
    """
    kinds = [_kind(layers.get(layer, [])) for layer in range(count)]
    if not any(attends or recurrent for attends, recurrent in kinds):
        kinds = [(True, False)] * count
    attending = [layer for layer, (attends, _) in enumerate(kinds) if attends]
    sliding = {layer for layer in attending if window and windows and windows[layer]}
    full = [layer for layer in attending if layer not in sliding]
    most = largest(heads[layer] for layer in full or sliding)
    own = largest(heads[layer] for layer in sliding) if sliding else most
    return KVLayout(
        full_layers=len(full),
        sliding_layers=len(sliding),
        window=window if sliding else 0,
        recurrent_layers=sum(recurrent for _, recurrent in kinds),
        kv_heads=most.kv_heads,
        key_head_dim=most.key_dim,
        value_head_dim=most.value_dim,
        sliding_kv_heads=_unlike(own.kv_heads, most.kv_heads),
        sliding_key_head_dim=_unlike(own.key_dim, most.key_dim),
        sliding_value_head_dim=_unlike(own.value_dim, most.value_dim),
    )


def _unlike(own: int, others: int) -> int | None:
    """Return a size of sliding layers where it is not that of the others."""
    return None if own == others else own


def _kind(names: list[str]) -> tuple[bool, bool]:
    """Return whether a layer with these tensors attends, and whether it keeps a state."""
    recurrent = any(_RECURRENT.search(name) for name in names)
    if any(_LINEAR_ATTENTION.search(name) for name in names):
        return False, True
    pattern = _ATTENDS_BESIDE_STATE if recurrent else _ATTENDS
    return any(pattern.search(name) for name in names), recurrent


def _is_window(item: Any) -> bool:
    """Whether a layer's flag or name stands for a window."""
    if isinstance(item, str):
        return item in ("sliding_attention", "chunked_attention", "sliding_window")
    return bool(item)
