"""config.json against the tensors: a model that contradicts itself converts to nonsense."""

import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

from qmodel.worker.errors import SourceInvalid
from qmodel.worker.inspect.config import Config
from qmodel.worker.inspect.document import MAX_INDEX_BYTES, load_object
from qmodel.worker.inspect.layers import SAFETENSORS_LAYER, layer_numbers
from qmodel.worker.inspect.select import CONFIG, INDEX, TOKENIZERS, listed, matching
from qmodel.worker.inspect.shapes import contradicting
from qmodel.worker.inspect.tensors import Tensor
from qmodel.worker.inspect.widths import experts
from qmodel.worker.sources import Source

_EMBEDDING = re.compile(
    r"(?:(?:model|language_model|llm|transformer|backbone|gpt_neox|decoder)\.)*"
    r"(?:embed_tokens|wte|word_embeddings|tok_embeddings|embed_in|embeddings?)\.weight"
)
_PLAIN = frozenset({
    "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM",
    "GemmaForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM", "GraniteForCausalLM",
    "SmolLM3ForCausalLM",
})  # fmt: skip
"""Every layer has the same queries, outputs and feed-forward part."""
_EXTRA_LAYERS = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_layers")
"""Layers beyond the stated number that predict further tokens."""
_VARYING = re.compile(
    r"(?:^|_)(?:global|swa|sliding)_(?:head_dim|num_|v_head)|num_global_key_value_heads"
    r"|block_configs|attention_other_setting|linear_attn_config|per_layer_config"
)
"""Keys of models whose layers differ: one width does not hold for all."""
_EXPERT = re.compile(r"(?:mlp|block_sparse_moe|feed_forward)\.experts\.(\d{1,6})\.")
_LATENT = ("kv_lora_rank", "linear_attn_config")
_COMPRESSED = re.compile(r"kv_a_proj|kv_b_proj|kv_down_proj|compressed_kv")
"""Matrices of latent attention, whose keys are not those of the projection."""

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
    embedding = min((name for name in tensors if _EMBEDDING.fullmatch(name)), key=len, default=None)
    if embedding is not None:
        _check_embedding(config, tensors[embedding], tensors)
    _check_layers(config, layer_numbers(tensors, SAFETENSORS_LAYER))
    parts: dict[str, list[Tensor]] = {}
    for tensor in tensors.values():
        if match := SAFETENSORS_LAYER.fullmatch(tensor.name):
            parts.setdefault(match[2], []).append(tensor)
    _check_attention(config, parts)
    _check_feed_forward(config, parts)
    _check_experts(config, parts)


def _check_embedding(config: Config, tensor: Tensor, tensors: Mapping[str, Tensor]) -> None:
    """Check the vocabulary and the width, which a matrix may widen."""
    rows, width = tensor.shape if len(tensor.shape) == 2 else (0, 0)  # noqa: PLR2004  a matrix
    stated = [config.text[key] for key in _FACTORED if config.text.get(key)]
    widened = {(width, config.hidden_size), (config.hidden_size, width)}
    factored = width in stated and any(other.shape in widened for other in tensors.values())
    if width != config.hidden_size and not factored:
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


def _check_attention(config: Config, parts: Mapping[str, list[Tensor]]) -> None:
    """Check the projections of keys, queries and outputs."""
    if any(config.text.get(key) is not None for key in _LATENT) and any(
        map(_COMPRESSED.search, parts)
    ):
        return
    hidden, width = config.hidden_size, config.most.key_dim
    keys = config.most.kv_heads * width
    alike = not any(_VARYING.search(key) for key in config.text)
    lists = isinstance(config.text.get("num_key_value_heads"), list)
    found = parts.get("self_attn.k_proj.weight", ())
    if tensor := contradicting(found, [(keys, hidden)], exact=alike and not lists):
        _refuse("key-value heads x head_dim", f"{config.most.kv_heads} x {width}", tensor)
    queries = config.heads * width
    plain = alike and config.architecture in _PLAIN
    for name, shape in (("q_proj", (queries, hidden)), ("o_proj", (hidden, queries))):
        found = parts.get(f"self_attn.{name}.weight", ())
        if tensor := contradicting(found, [shape], exact=plain):
            _refuse("attention heads x head_dim", f"{config.heads} x {width}", tensor)


def _check_experts(config: Config, parts: Mapping[str, list[Tensor]]) -> None:
    """Check that the stated experts are there; a token asks some of them, if there are several."""
    stated, asked = experts(config), config.text.get("num_experts_per_tok")
    numbers = [int(match[1]) for name in parts if (match := _EXPERT.match(name))]
    if numbers and stated > max(numbers) + 1:
        message = f"{CONFIG} says {stated} experts, but the last of the tensors is {max(numbers)}"
        raise SourceInvalid(message)
    if stated > 1 and isinstance(asked, int) and asked > stated:
        message = f"{CONFIG} says num_experts_per_tok {asked} of {stated} experts"
        raise SourceInvalid(message)


def _check_feed_forward(config: Config, parts: Mapping[str, list[Tensor]]) -> None:
    """Check the dense feed-forward part; that of experts has a width of its own."""
    width = config.text.get("intermediate_size")
    if not isinstance(width, int):
        return
    hidden, plain = config.hidden_size, config.architecture in _PLAIN
    shapes = {
        "gate_proj": (width, hidden),
        "up_proj": (width, hidden),
        "down_proj": (hidden, width),
    }
    for name, shape in shapes.items():
        found = parts.get(f"mlp.{name}.weight", ())
        if tensor := contradicting(found, [shape], exact=plain):
            _refuse("intermediate_size", width, tensor)


def _refuse(key: str, value: object, tensor: Tensor) -> NoReturn:
    """Name the value of config.json and the tensor that contradicts it."""
    shape = " x ".join(map(str, tensor.shape))
    message = f"{CONFIG} says {key} {value}, but {tensor.name[:200]} is {shape}"
    raise SourceInvalid(message)
