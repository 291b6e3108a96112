"""Configurations with absurd sizes, contradictions, and lies about quantization."""

import json
from typing import Any

from hostile.trick import Trick, config, invalid, merge, put

CONFIG = "config.json"
TOKENIZER = "tokenizer_config.json"


def says(key: str, value: Any, what: str | None = None) -> Trick:
    """Return a model whose config.json gives that value."""
    return invalid(config(**{key: value}), CONFIG, key if what is None else what)


def is_text(content: bytes, what: str) -> Trick:
    """Return a model whose config.json is that text."""
    return invalid(put(CONFIG, content), CONFIG, what)


def quantized(what: str, **recipe: Any) -> Trick:
    """Return a model that says of itself that it is quantized so."""
    return invalid(config(quantization_config=recipe), CONFIG, what, "None")


def ignoring(*patterns: str) -> Trick:
    """Return a model that leaves out what these patterns match."""
    return quantized(ENDS, quant_method="compressed-tensors", config_groups={}, ignore=patterns)


TWICE = b'{"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "hidden_size": 1000000}'
ENDLESS = "re:(a+)+$"
ENDS = "no pattern that ends"

TRICKS = {
    "config-many-layers": says("num_hidden_layers", 10**9),
    "config-large-vocabulary": says("vocab_size", 10**12),
    "config-wide": says("hidden_size", 10**12),
    "config-astronomic": says("hidden_size", 10**4000, "not valid JSON|hidden_size"),
    "config-negative": says("num_attention_heads", -4),
    "config-fraction": says("hidden_size", 64.5),
    "config-infinite": says("hidden_size", float("inf")),
    "config-not-a-number": says("hidden_size", float("nan"), "NaN"),
    "config-text-for-number": says("vocab_size", "128"),
    "config-flag-for-number": says(key="num_hidden_layers", value=True),
    "config-list-for-number": says("hidden_size", [64]),
    "config-many-heads": says("num_key_value_heads", 1 << 30),
    "config-wide-heads": says("head_dim", 1 << 40),
    "config-many-experts": says("num_local_experts", 10**9),
    "config-wide-experts": says("moe_intermediate_size", 10**12),
    "config-wide-mlp": says("intermediate_size", -1),
    "config-long-context": says("max_position_embeddings", 10**15),
    "config-rope-of-nothing": says("rope_theta", 0),
    "config-rope-of-nothing-by-layer": says("rope_theta", [1e4, 0], "rope_theta in"),
    "config-rope-infinite": says("rope_theta", float("inf")),
    "config-rope-factor": says("rope_scaling", {"rope_type": "yarn", "factor": "1e9"}, "factor"),
    "config-rope-huge": says("rope_parameters", {"factor": 1e300}, "rope_parameters.factor"),
    "config-width-contradicts": says("hidden_size", 32, "hidden_size 32, but"),
    "config-vocabulary-contradicts": says("vocab_size", 129, "vocab_size 129, but"),
    "config-layers-contradict": says("num_hidden_layers", 3, "num_hidden_layers 3, but"),
    "config-heads-contradict": says("num_key_value_heads", 4, "4 x 16, but"),
    "config-of-a-million-positions-a-token": says("max_position_embeddings", 1 << 31),
    "config-stretched-positions": says(
        "rope_scaling", {"rope_type": "yarn", "factor": 1e6}, "more than 33554432 positions"
    ),
    "config-stretched-by-kind": says(
        "rope_parameters",
        {"full_attention": {"factor": 1e9, "original_max_position_embeddings": 8192}},
        "rope_parameters.full_attention.factor",
    ),
    "config-narrow-embedding-of-nothing": invalid(
        config(embedding_size=1, vocab_size=1 << 26), CONFIG, "vocab_size 67108864, but"
    ),
    "config-narrow-embedding-hides-width": invalid(
        config(embedding_size=64, hidden_size=1 << 20), CONFIG, "hidden_size 1048576, but"
    ),
    "config-varying-by-a-word": invalid(
        config(swa_num_heads=1, num_key_value_heads=1 << 15), CONFIG, "32768 x 16, but"
    ),
    "config-latent-of-nothing": invalid(
        config(kv_lora_rank=1 << 19), CONFIG, "key-value heads x head_dim"
    ),
    "config-many-queries": says("num_attention_heads", 1 << 16, "65536 x 16, but"),
    "config-queries-contradict": says("num_attention_heads", 7, "7 x 16, but"),
    "config-wide-feed-forward": says("intermediate_size", 1 << 20, "intermediate_size 1048576"),
    "config-wide-feed-forward-elsewhere": invalid(
        config(architectures=["Qwen3MoeForCausalLM"], intermediate_size=1 << 20),
        CONFIG,
        "intermediate_size 1048576",
    ),
    "config-wide-images": says("vision_config", {"hidden_size": 10**18}, "hidden_size"),
    "config-many-layers-for-images": says("vision_config", {"depth": 10**9}, "depth"),
    "config-many-heads-for-sound": says(
        "audio_config", {"encoder": [{"num_heads": 1 << 20}]}, "num_heads"
    ),
    "config-any-large-number": says("extra", {"x": [1, -(10**30)]}, "x in config.json"),
    "config-empty": is_text(b"", "not valid JSON"),
    "config-a-list": is_text(b"[]", "holds a list"),
    "config-not-utf-8": is_text(b'{"a": "\xff"}', "no UTF-8 text"),
    "config-deep": is_text(b'{"a":' * 50_000, "not valid JSON"),
    "config-large": is_text(b'{"a": "' + b"x" * (9 << 20) + b'"}', "at most 8388608 are read"),
    "config-of-lists": is_text(b'{"a": [' + b"[]," * 700_000 + b"1]}", "lists and objects"),
    "config-two-values": is_text(TWICE, "'hidden_size' twice"),
    "config-half-a-character": is_text(b'{"a": "\\udfff"}', "not valid JSON"),
    "tokens-beyond-all": invalid(
        merge(TOKENIZER, added_tokens_decoder={str(10**12): {"content": "x"}}), TOKENIZER, "at most"
    ),
    "tokens-added-beyond-all": invalid(
        put("added_tokens.json", json.dumps({"x": 10**12})), "added_tokens.json", "at most"
    ),
    "config-more-experts-asked": invalid(
        config(n_routed_experts=8, num_experts_per_tok=1 << 20), CONFIG, "1048576 of 8 experts"
    ),
    "tokens-no-number": invalid(
        merge(TOKENIZER, added_tokens_decoder={"-1": {"content": "x"}}), TOKENIZER, "token number"
    ),
    "quantized-by-a-path": quantized("no name of a class", quant_method="../../evil"),
    "quantized-in-no-bits": quantized("bits in config.json", quant_method="gptq", bits=0),
    "quantized-in-many-bits": quantized("bits in config.json", quant_method="awq", bits=10**9),
    "quantized-in-groups-of-none": quantized(
        "group_size in config.json", quant_method="gptq", bits=4, group_size=0
    ),
    "quantized-both-ways": quantized(
        "neither or both", quant_method="bitsandbytes", load_in_4bit=True, load_in_8bit=True
    ),
    "quantized-no-object": invalid(
        config(quantization_config="gptq"), CONFIG, "object is expected", "None"
    ),
    "quantized-groups-no-object": quantized(
        "object is expected", quant_method="compressed-tensors", config_groups=[1]
    ),
    "quantized-endless-pattern": quantized(
        ENDS, quant_method="compressed-tensors", config_groups={}, ignore=[ENDLESS]
    ),
    "quantized-endless-target": quantized(
        ENDS,
        quant_method="compressed-tensors",
        config_groups={"group_0": {"targets": ["re:(x|xx)*y"], "weights": {"num_bits": 4}}},
    ),
    "quantized-endless-rule": quantized(
        ENDS, quant_method="gptq", bits=4, group_size=128, dynamic={"+:.*(.*a?)*$": {"bits": 8}}
    ),
    "quantized-many-stars": quantized(
        ENDS, quant_method="awq", bits=4, modules_to_not_convert=["re:" + ".*" * 30 + "x"]
    ),
    "quantized-nested-repeats": ignoring("re:((a+))+b"),
    "quantized-branches-repeated": ignoring("re:((.|.))*X"),
    "quantized-twelve-stars": ignoring("re:" + ".*" * 12 + "X"),
    "quantized-optional-letters": ignoring("re:" + ".?" * 60 + "X"),
    "quantized-bounded-repeat-repeated": ignoring("re:(a{1,9}){1,99}b"),
    "quantized-branches-in-a-row": ignoring("re:" + "(.|.)" * 60 + "X"),
    "quantized-classes-repeated": ignoring("re:" + "[a-z]+" * 8 + "X"),
    "quantized-refers-back": ignoring(r"re:(.*)\1(.*)\1X"),
    "quantized-thousands-of-patterns": ignoring(*(f"re:.*x{n}" for n in range(2000))),
    "quantized-endless-anywhere": quantized(
        ENDS, quant_method="torchao", quant_type={"default": {"fqn": {ENDLESS: {"type": "int4"}}}}
    ),
    "quantized-endless-skip": quantized(
        ENDS, quant_method="bitsandbytes", load_in_4bit=True, llm_int8_skip_modules=[ENDLESS]
    ),
    "quantized-endless-extra": quantized(
        ENDS, quant_method="auto-round", bits=4, extra_config={"(a|aa)+$": {"bits": 16}}
    ),
    "quantized-endless-by-modelopt": invalid(
        put(
            "hf_quant_config.json",
            json.dumps({"quantization": {"quant_algo": "FP8", "exclude_modules": ["(a+)+$"]}}),
        ),
        "hf_quant_config.json",
        ENDS,
        "None",
    ),
    "quantized-long-pattern": quantized(
        ENDS, quant_method="awq", bits=4, modules_to_not_convert=["x" * 10_000]
    ),
    "quantized-auto-gptq-lies": invalid(
        put("quantize_config.json", json.dumps({"bits": "four"})),
        "quantize_config.json",
        "bits in",
        "None",
    ),
    "quantized-modelopt-lies": invalid(
        put("hf_quant_config.json", json.dumps({"quantization": ["NVFP4"]})),
        "hf_quant_config.json",
        "object is expected",
        "None",
    ),
}
