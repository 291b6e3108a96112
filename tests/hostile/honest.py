"""Models as people publish them: what each holds is odd or large, and passes."""

from collections.abc import Mapping

from hostile.trick import Build, config, merge, put

TOKENIZER = "tokenizer_config.json"
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

HONEST: Mapping[str, Build] = {
    "licence": put("LICENSE", "Apache License\n"),
    "licence-as-text": put("LICENSE.txt", "MIT License\n"),
    "licence-of-the-model": put("LICENSE-MODEL.md", "# Licence\n"),
    "licence-of-a-version": put("LICENSE-APACHE-2.0", "Apache License\n"),
    "notice": put("NOTICE.txt", "Llama is licensed under …\n"),
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
