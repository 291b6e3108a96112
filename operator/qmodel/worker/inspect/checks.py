"""config.json against the tensors: a model that contradicts itself converts to nonsense."""

import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

from qmodel.worker.errors import SourceInvalid
from qmodel.worker.inspect.config import Config
from qmodel.worker.inspect.document import MAX_INDEX_BYTES, load_object
from qmodel.worker.inspect.layers import SAFETENSORS_LAYER, layer_numbers
from qmodel.worker.inspect.select import CONFIG, INDEX, TOKENIZERS, listed, matching
from qmodel.worker.inspect.tensors import Tensor
from qmodel.worker.sources import Source

_EMBEDDING = re.compile(
    r"(?:(?:model|language_model|llm|transformer|backbone|gpt_neox)\.)*"
    r"(?:embed_tokens|wte|word_embeddings|tok_embeddings|embed_in|embeddings?)\.weight"
)
_KEYS = re.compile(r"self_attn\.k_proj\.weight")
_EXTRA_LAYERS = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_layers")
"""Layers beyond the stated number that predict further tokens."""
_VARYING = re.compile(
    r"(?:^|_)(?:global|swa|sliding)_(?:head_dim|num_|v_head)|num_global_key_value_heads"
    r"|block_configs|kv_lora_rank|attention_other_setting|linear_attn_config"
)
"""Keys of models whose layers differ: one width does not hold for all."""

_FACTORED = ("word_embed_proj_dim", "embedding_size")
"""Keys of models whose embedding is narrower than their layers."""
_MOST_PADDING = 1024
"""Rows that only round the vocabulary up."""


def check_tokenizer(source: Source) -> None:
    """Check that the model brings a tokenizer that the converter reads."""
    if not matching(list(source.files), TOKENIZERS):
        message = f"{source.name} has no tokenizer: one of {', '.join(TOKENIZERS)} is expected"
        raise SourceInvalid(message)


def check_index(source: Source, headers: Mapping[str, Iterable[Tensor]]) -> None:
    """Check that each shard holds the tensors that the index says.

    Raises
    ------
    SourceInvalid
        Naming tensors that are missing.
    """
    weight_map = load_object(source, INDEX, MAX_INDEX_BYTES).get("weight_map", {})
    present = {path: {tensor.name for tensor in tensors} for path, tensors in headers.items()}
    missing = [name for name, path in weight_map.items() if name not in present.get(path, ())]
    if missing:
        message = (
            f"{INDEX} lists {len(missing)} tensors that are not in the shards that it names:"
            f" {listed([name[:100] for name in missing])}"
        )
        raise SourceInvalid(message)


def check_config(config: Config, tensors: Mapping[str, Tensor]) -> None:
    """Check the sizes of config.json against the shapes of the tensors.

    Raises
    ------
    SourceInvalid
        Naming the key, its value, and the tensor that contradicts it.
    """
    varying = any(_VARYING.search(key) for key in config.text)
    embedding = min((name for name in tensors if _EMBEDDING.fullmatch(name)), key=len, default=None)
    if embedding is not None and not any(key in config.text for key in _FACTORED):
        _check_embedding(config, tensors[embedding])
    layers = layer_numbers(tensors, SAFETENSORS_LAYER)
    _check_layers(config, layers)
    if not varying and not isinstance(config.text.get("num_key_value_heads"), list):
        for tensor in tensors.values():
            match = SAFETENSORS_LAYER.fullmatch(tensor.name)
            if match and _KEYS.fullmatch(match[2]):
                _check_keys(config, tensor)


def _check_embedding(config: Config, tensor: Tensor) -> None:
    """Check the vocabulary and the width."""
    rows, width = tensor.shape if len(tensor.shape) == 2 else (0, 0)  # noqa: PLR2004  a matrix
    if width != config.hidden_size:
        _refuse("hidden_size", config.hidden_size, tensor)
    if not 0 <= rows - config.vocabulary_size < _MOST_PADDING:
        _refuse("vocab_size", config.vocabulary_size, tensor)


def _check_layers(config: Config, layers: Mapping[int, list[str]]) -> None:
    """Check that the stated layers are there, and no more than can be explained."""
    extra = next((config.text[key] for key in _EXTRA_LAYERS if config.text.get(key)), 0)
    found = len(layers)
    most = config.layers + (extra if isinstance(extra, int) else 0)
    if layers and not (config.layers <= found <= most and max(layers) == found - 1):
        message = (
            f"{CONFIG} says num_hidden_layers {config.layers}, but the tensors make {found}"
            f" layers, the last of them number {max(layers)}"
        )
        raise SourceInvalid(message)


def _check_keys(config: Config, tensor: Tensor) -> None:
    """Check one layer's key projection."""
    expected = config.kv_heads * config.key_head_dim
    flat = (expected * config.hidden_size,)
    if tensor.shape not in ((expected, config.hidden_size), flat):
        stated = f"{config.kv_heads} x {config.key_head_dim}"
        _refuse("key-value heads x head_dim", stated, tensor)


def _refuse(key: str, value: object, tensor: Tensor) -> NoReturn:
    """Name the value of config.json and the tensor that contradicts it."""
    shape = " x ".join(map(str, tensor.shape))
    message = f"{CONFIG} says {key} {value}, but {tensor.name[:200]} is {shape}"
    raise SourceInvalid(message)
