"""Models as people publish them: what each holds is odd or large, and passes."""

import json
from collections.abc import Mapping

from hostile import good
from hostile.tokenizers import fixed, replace, sequence, split, template, tokenizer
from hostile.trick import Build, config, merge, put

TOKENIZER = "tokenizer_config.json"
TEKKEN = {
    "config": {"pattern": "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\s+(?!\\S)", "num_vocab_tokens": 1},
    "vocab": [{"rank": 0, "token_bytes": "AA==", "token_str": None}],
}
RECIPE = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "config_groups": {
        "group_0": {"targets": ["re:.*(q|k|v)_proj", "Linear"], "weights": {"num_bits": 4}}
    },
    "ignore": [
        "lm_head",
        "re:.*lm_head",
        "re:.*mlp.gate$",
        "re:.*self_attn.*",
        r"re:model.layers.\d+.mlp.experts.*",
        *(f"model.layers.{layer}.mlp.gate" for layer in range(2000)),
    ],
    "kv_cache_scheme": None,
}

FILE = "tokenizer.json"
LLAMA_3 = tokenizer(
    truncation=None,
    padding=None,
    added_tokens=[{"id": 127, "content": "<|end|>", "special": True, "normalized": False}],
    normalizer=None,
    pre_tokenizer={
        "type": "Sequence",
        "pretokenizers": [
            split(
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
                r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            ),
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ],
    },
    post_processor={
        "type": "Sequence",
        "processors": [
            {"type": "ByteLevel"},
            template("A")
            | {
                "pair": [
                    {"SpecialToken": {"id": "<s>", "type_id": 0}},
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "<s>", "type_id": 1}},
                    {"Sequence": {"id": "B", "type_id": 1}},
                ],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
            },
        ],
    },
    decoder={"type": "ByteLevel"},
)
GEMMA = tokenizer(
    normalizer=sequence({"type": "Prepend", "prepend": "▁"}, replace("▁", String=" ")),
    pre_tokenizer={"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious"},
    decoder={
        "type": "Sequence",
        "decoders": [
            replace(" ", String="▁"),
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    },
)
UNIGRAM = tokenizer(
    model={"type": "Unigram", "unk_id": 0, "vocab": [["<pad>", 0.0], ["▁", -2.0e-1], ['"', -3]]},
    normalizer=sequence(
        {"type": "Precompiled", "precompiled_charsmap": "A" * 300_000},
        replace(" ", Regex=" {2,}"),
    ),
    pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
)

HONEST: Mapping[str, Build] = {
    "licence": put("LICENSE", "Apache License\n"),
    "licence-as-text": put("LICENSE.txt", "MIT License\n"),
    "licence-of-the-model": put("LICENSE-MODEL.md", "# Licence\n"),
    "licence-of-a-version": put("LICENSE-APACHE-2.0", "Apache License\n"),
    "notice": put("NOTICE.txt", "Llama is licensed under …\n"),
    "sentencepiece": put("tokenizer.model", good.PIECES + b"\x12\x02\x18\x01\x1a\x00"),
    "sentencepiece-of-t5": put("spiece.model", good.PIECES * 9000),
    "mistral-s-version": put("tokenizer.model.v3", good.PIECES),
    "tiktoken": put("qwen.tiktoken", b"IQ== 0\nIg== 1\n"),
    "tiktoken-as-model": put("tokenizer.model", b"IQ== 0\nIg== 1\nYWJj 2"),
    "tekken": put("tekken.json", json.dumps(TEKKEN)),
    "vocabulary-of-bytes": put("vocab.json", json.dumps({"Ġthe": 0, "é": 1}, ensure_ascii=False)),
    "merges": put("merges.txt", "#version: 0.2\nĠ t\nh e\n"),
    "merges-cut-in-a-character": put("merges.txt", "aé" * 40_000),
    "vocabulary-of-bert": put("vocab.txt", "[PAD]\n[unused0]\ncat\ncow\nRat\n\u2028\n"),
    "vocabulary-of-words": put("vocab.txt", "in\nthe\nRun\n"),
    "vocabulary-of-rwkv": put("rwkv_vocab_v20230424.txt", "1 '\\x00' 1\n2 b'\\xff' 1\n"),
    "readme-in-latin-1": put("README.md", "Modèle\n".encode("latin-1")),
    "licence-with-a-page-break": put("LICENSE", "Copyright © 2024\n\fPermission\n"),
    "readme-pasted-from-elsewhere": put("README.md", "a \x1b[1mbold\x1b[0m of\x02fer\n"),
    "tokens-that-were-added": put("added_tokens.json", json.dumps({"<pad>": 127})),
    "json-in-lines": put("tokenizer.jsonl", '{"a": 1}\n{"b": 2}\n'),
    "positions-of-llama-4": config(
        max_position_embeddings=10_485_760,
        rope_scaling={
            "factor": 16.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        },
    ),
    "positions-of-deepseek": config(
        max_position_embeddings=163_840,
        rope_scaling={
            "factor": 40,
            "original_max_position_embeddings": 4096,
            "type": "yarn",
            "mscale": 1.0,
        },
    ),
    "positions-by-kind": config(
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000},
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        }
    ),
    "positions-of-phi": config(
        rope_scaling={"type": "longrope", "short_factor": [1.0] * 48, "long_factor": [64.5] * 48}
    ),
    "positions-by-layer": config(rope_theta=[5_000_000.0, 10_000.0]),
    "one-expert-is-none": config(num_experts=1, num_experts_per_tok=2),
    "an-image-part": config(
        vision_config={
            "depth": 32,
            "hidden_size": 1280,
            "out_hidden_size": 3584,
            "window_size": 112,
        },
        vision_feature_layer=-2,
        image_token_index=262_144,
        max_pixels=12_845_056,
    ),
    "many-layers-of-images": config(vision_config={"depths": [2, 2, 18, 2], "num_heads": [4, 8]}),
    "an-embedding-size-that-says-nothing": config(embedding_size=64),
    "tokenizer-of-llama-3": put(FILE, LLAMA_3),
    "tokenizer-of-gemma": put(FILE, GEMMA),
    "tokenizer-of-t5": put(FILE, UNIGRAM),
    "tokenizer-padded": put(
        FILE,
        tokenizer(
            truncation={
                "direction": "Right",
                "max_length": 512,
                "strategy": "LongestFirst",
                "stride": 0,
            },
            padding=fixed(2048),
        ),
    ),
    "tokenizer-of-old-merges": put(FILE, tokenizer(model={"vocab": {}, "merges": []})),
    "tokenizer-in-lines": put(FILE, json.dumps(json.loads(LLAMA_3), indent=2).encode()),
    "one-token-more-than-the-model": put(
        FILE, tokenizer(added_tokens=[{"id": 128, "content": "<pad>"}])
    ),
    "where-it-once-lay": config(_name_or_path="/mnt/checkpoints/step-1000"),
    "where-the-tokenizer-once-lay": merge(
        TOKENIZER, name_or_path="meta/x", special_tokens_map_file="/root/.cache/x.json"
    ),
    "files-of-the-tokenizer": merge(
        TOKENIZER, vocab_file="vocab.json", merges_file="merges.txt", tokenizer_file=None
    ),
    "attention-of-transformers": config(
        attn_implementation="flash_attention_2", _attn_implementation_autoset=True
    ),
    "patterns-of-published-models": config(quantization_config=RECIPE),
    "no-kernels": config(use_kernels=False, kernel_config=None),
    "backbone-by-kind": config(
        backbone="resnet50", use_pretrained_backbone=False, vision_backbone={"image_model": "a/b"}
    ),
}
