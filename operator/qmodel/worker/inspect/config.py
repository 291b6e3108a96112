"""config.json of a safetensors model: what it says, bounded, before anything is believed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qmodel.api.methods import Method
from qmodel.worker.errors import SourceInvalid, UnsupportedModel
from qmodel.worker.inspect.architectures import SAFETENSORS
from qmodel.worker.inspect.config_bounds import (
    MAX_CONTEXT,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_VOCABULARY,
    MAX_WIDTH,
    check_nested,
    check_sizes,
)
from qmodel.worker.inspect.document import bounded, whole
from qmodel.worker.inspect.layers import Heads, largest
from qmodel.worker.inspect.select import CONFIG
from qmodel.worker.inspect.vllm_architectures import VLLM

_TEXT_CONFIGS = ("text_config", "llm_config", "lm_config", "language_config", "lfm")
_UNSTATED: Mapping[str, Mapping[str, int]] = {
    "gemma": {
        "max_position_embeddings": 8192, "num_attention_heads": 16, "num_key_value_heads": 16,
        "head_dim": 256,
    },
    "gemma2": {
        "max_position_embeddings": 8192, "num_attention_heads": 8, "num_key_value_heads": 4,
        "head_dim": 256,
    },
    "gemma3_text": {
        "vocab_size": 262_208, "max_position_embeddings": 131_072, "num_attention_heads": 8,
        "num_key_value_heads": 4, "head_dim": 256,
    },
    "llama": {
        "hidden_size": 4096, "intermediate_size": 11_008, "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
    "mistral": {
        "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8,
    },
}  # fmt: skip
"""Defaults of transformers, which the language parts of published image models leave out."""
_HIDDEN = ("hidden_size", "n_embd", "d_model", "dim")
_LAYERS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
_VOCABULARY = ("vocab_size", "padded_vocab_size")
_CONTEXT = (
    "max_position_embeddings", "n_ctx", "n_positions", "max_seq_len", "max_sequence_length",
    "seq_length", "model_max_length",
)  # fmt: skip
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_KV_HEADS = (
    "num_key_value_heads", "n_kv_heads", "num_kv_heads", "n_head_kv", "num_attention_groups",
)  # fmt: skip
_HEAD_DIM = ("head_dim", "kv_channels", "attention_head_dim")
_OF_FULL_LAYERS = {
    "global_head_dim": "head_dim", "num_global_key_value_heads": "num_key_value_heads",
}  # fmt: skip
"""Keys of Gemma 4, whose other keys are those of layers that attend to a window."""
_OF_SLIDING_LAYERS = {
    "swa_head_dim": "head_dim", "swa_v_head_dim": "v_head_dim",
    "swa_num_key_value_heads": "num_key_value_heads",
}  # fmt: skip
_LAYER_NUMBER = re.compile(r"[0-9]{1,4}")
_BY_LAYER = "per_layer_config"
"""What transformers writes instead of such keys: changes by the number of a layer."""
_UNBOUNDED_CONTEXT = 1 << 20
"""What the converter writes for models without positions, such as Mamba."""
_UNSTATED_CONTEXT = 2048
"""Of models with positions that tell no longest one: the shortest that any of them has."""
_LONGEST_TYPE = 64
"""Characters of a model type."""
_GENERATES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_UNCOMPRESSED = ("MiniCPM3ForCausalLM", "PLMForCausalLM")
"""Their latent attention is cached as ordinary heads by llama.cpp."""


@dataclass(frozen=True)
class Config:
    """The sizes that config.json gives for the language model."""

    architecture: str
    model_type: str | None
    """Of the whole model, as libraries look it up."""
    text: Mapping[str, Any]
    """The language model's own part, laid over the rest."""
    hidden_size: int
    layers: int
    vocabulary_size: int
    context_length: int
    heads: int
    """Query heads of a layer; 0 without attention."""
    alike: Heads
    """What layers cache that have no sizes of their own; 0 without attention."""
    most: Heads
    """The largest of all layers."""

    def layer_heads(self, windows: list[bool]) -> list[Heads]:
        """Return what each layer caches of a token.

        Parameters
        ----------
        windows
            For each layer whether it attends to a window; empty: not told, so that it may be any.
        """
        if not windows:
            return [self.most] * self.layers
        kinds = {windowed: _of_kind(self.alike, self.text, windowed) for windowed in set(windows)}
        changes = _changes(self.text)
        return [
            _own(kinds[windowed], changes.get(layer, {})) for layer, windowed in enumerate(windows)
        ]


def load_config(documents: Mapping[str, dict[str, Any]], name: str, method: Method) -> Config:
    """Return what config.json says.

    Parameters
    ----------
    documents
        The configuration files, by name.
    name
        The source's, for messages.
    method
        Decides which program must know the architecture.

    Raises
    ------
    SourceInvalid
        If it is missing, or gives absurd sizes.
    UnsupportedModel
        If the architecture cannot be converted or served.
    """
    if CONFIG not in documents:
        message = f"{name} has safetensors but no {CONFIG}"
        raise SourceInvalid(message)
    document = documents[CONFIG]
    text = _text_part(document)
    architecture = _architecture(document, text, method)
    check_sizes(text)
    check_nested(document)
    return _sizes(architecture, _model_type(document), text)


def vocabulary_and_context(document: Mapping[str, Any]) -> tuple[int, int]:
    """Return the tokens and the positions that a config.json gives.

    Raises
    ------
    SourceInvalid
        If it gives no tokens, or absurd ones.
    """
    text = _text_part(document)
    context = whole(text, _CONTEXT, MAX_CONTEXT, CONFIG)
    return _required(text, _VOCABULARY, MAX_VOCABULARY), context or _UNBOUNDED_CONTEXT


def _text_part(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with that of the language model laid over it."""
    nested: object = document.get("thinker_config")
    parts = [nested.get("text_config")] if isinstance(nested, dict) else []
    parts += [document.get(key) for key in _TEXT_CONFIGS]
    part = next((part for part in parts if isinstance(part, dict)), {})
    return {**document, **_UNSTATED.get(str(part.get("model_type")), {}), **part}


def _architecture(document: Mapping[str, Any], text: Mapping[str, Any], method: Method) -> str:
    """Return the first architecture named that the engine knows."""
    named = [
        name
        for part in (document, text)
        if isinstance(part.get("architectures"), list)
        for name in part["architectures"]
        if isinstance(name, str)
    ]
    known = SAFETENSORS if method is Method.GGUF else VLLM
    found = next((name for name in named if name in known), None)
    if found is None:
        kind = ", ".join(dict.fromkeys(named))[:200] or "none"
        similar = [name for name in known if name.endswith(_GENERATES)]
        does = "llama.cpp does not convert" if method is Method.GGUF else "vLLM does not serve"
        message = (
            f"{CONFIG} names the architecture {kind}, which the pinned {does} as a model that"
            f" continues text; it knows {len(similar)}, such as LlamaForCausalLM,"
            " Qwen3ForCausalLM, MistralForCausalLM, Gemma3ForCausalLM"
        )
        raise UnsupportedModel(message)
    return found


def _model_type(document: Mapping[str, Any]) -> str | None:
    """Return the type that config.json names, if it is a name."""
    named = document.get("model_type")
    return named if isinstance(named, str) and 0 < len(named) <= _LONGEST_TYPE else None


def _sizes(architecture: str, model_type: str | None, text: Mapping[str, Any]) -> Config:
    """Return the sizes, each a whole number within bounds."""
    hidden = _required(text, _HIDDEN, MAX_WIDTH)
    heads = whole(text, _HEADS, MAX_HEADS, CONFIG)
    context = whole(text, _CONTEXT, MAX_CONTEXT, CONFIG)
    alike = _heads(architecture, text, hidden, heads)
    return Config(
        architecture=architecture,
        model_type=model_type,
        text=text,
        hidden_size=hidden,
        layers=_required(text, _LAYERS, MAX_LAYERS),
        vocabulary_size=_required(text, _VOCABULARY, MAX_VOCABULARY),
        context_length=context or (_UNSTATED_CONTEXT if heads else _UNBOUNDED_CONTEXT),
        heads=heads or 0,
        alike=alike,
        most=largest(
            _own(kind, changes)
            for kind in (_of_kind(alike, text, windowed) for windowed in (False, True))
            for changes in ({}, *_changes(text).values())
        ),
    )


def _of_kind(alike: Heads, text: Mapping[str, Any], windowed: bool) -> Heads:  # noqa: FBT001
    """Return what the layers of a kind cache: those with a window, or the others."""
    renamed = _OF_SLIDING_LAYERS if windowed else _OF_FULL_LAYERS
    part = {name: text.get(key) for key, name in renamed.items()}
    if text.get("attention_k_eq_v") is False and not windowed:
        del part["num_key_value_heads"]  # transformers does not use it then
    return _own(alike, part)


def _own(heads: Heads, part: Mapping[str, Any]) -> Heads:
    """Return what layers cache that have some sizes of their own; a latent is the same in all."""
    if not heads.value_dim:
        return heads
    key = whole(part, _HEAD_DIM, MAX_WIDTH, CONFIG) or heads.key_dim
    others = key if heads.value_dim == heads.key_dim else heads.value_dim
    value = whole(part, ("v_head_dim",), MAX_WIDTH, CONFIG) or others
    return Heads(whole(part, _KV_HEADS, MAX_HEADS, CONFIG) or heads.kv_heads, key, value)


def _changes(text: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Return what differs in single layers, whose numbers may be padded with zeros."""
    stated = text.get(_BY_LAYER)
    numbered = stated.items() if isinstance(stated, dict) else ()
    return {
        int(key): own
        for key, own in numbered
        if _LAYER_NUMBER.fullmatch(key) and isinstance(own, dict)
    }


def _heads(architecture: str, text: Mapping[str, Any], hidden: int, heads: int | None) -> Heads:
    """Return what a layer without sizes of its own caches of a token."""
    key, value = _head_dims(architecture, text, hidden, heads)
    latent = "kv_lora_rank" in text and value == 0
    return Heads(1 if latent else _kv_heads(text, heads), key, value)


def _required(text: Mapping[str, Any], keys: tuple[str, ...], largest: int) -> int:
    """Return a size that every model has."""
    value = whole(text, keys, largest, CONFIG)
    if value is None:
        message = f"{CONFIG} has no {keys[0]}"
        raise SourceInvalid(message)
    return value


def _kv_heads(text: Mapping[str, Any], heads: int | None) -> int:
    """Return the key-value heads of a layer; where they are listed, of the one that has most."""
    attention = text.get("attn_config")
    nested = attention if isinstance(attention, dict) else {}
    for key in _KV_HEADS:
        if isinstance(text.get(key), list) and text[key]:
            return max(bounded(item, MAX_HEADS, f"{key} in {CONFIG}") for item in text[key])
    if text.get("multi_query") is True and not text.get("new_decoder_architecture"):
        return 1
    if text.get("multi_query_attention") is True:
        return whole(text, ("multi_query_group_num",), MAX_HEADS, CONFIG) or 1
    stated = whole(text, _KV_HEADS, MAX_HEADS, CONFIG)
    return stated or whole(nested, ("kv_n_heads",), MAX_HEADS, CONFIG) or heads or 0


def _head_dims(
    architecture: str, text: Mapping[str, Any], hidden: int, heads: int | None
) -> tuple[int, int]:
    """Return the cached widths of a key and of a value."""
    rank = whole(text, ("kv_lora_rank",), MAX_WIDTH, CONFIG)
    rope = whole(text, ("qk_rope_head_dim",), MAX_WIDTH, CONFIG) or 0
    if rank and architecture not in _UNCOMPRESSED:
        return rank + rope, 0
    plain = whole(text, _HEAD_DIM, MAX_WIDTH, CONFIG)
    if plain is None:
        plain = hidden // heads if heads else 0
    if rank:
        plain = rope + (whole(text, ("qk_nope_head_dim",), MAX_WIDTH, CONFIG) or 0)
    return plain, whole(text, ("v_head_dim",), MAX_WIDTH, CONFIG) or plain
