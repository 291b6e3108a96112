"""Writes the tokenizer files of SmolLM2 from the vocabulary in its GGUF file."""

import json
from pathlib import Path
from typing import Any

import gguf

CONTROL = 3
"""GGUF's token type of a special token."""

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


def write(reader: gguf.GGUFReader, out: Path, max_length: int) -> None:
    """Write tokenizer.json and its configuration, with the chat template, into `out`."""
    tokens: list[str] = reader.fields["tokenizer.ggml.tokens"].contents()
    types: list[int] = reader.fields["tokenizer.ggml.token_type"].contents()
    merges: list[str] = reader.fields["tokenizer.ggml.merges"].contents()
    special = [index for index, kind in enumerate(types) if kind == CONTROL]
    template = reader.fields["tokenizer.chat_template"].contents()
    roles = {role: tokens[_token_id(reader, name)] for role, name in ROLES.items()}
    _write(out / "tokenizer.json", tokenizer_json(tokens, merges, special))
    _write(out / "special_tokens_map.json", roles)
    config = {
        **roles,
        "add_prefix_space": False,
        "chat_template": template,
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_length,
        "tokenizer_class": "GPT2Tokenizer",
    }
    _write(out / "tokenizer_config.json", config)


ROLES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def tokenizer_json(tokens: list[str], merges: list[str], special: list[int]) -> dict[str, Any]:
    """Return a byte-level BPE tokenizer that splits digits, as the model was trained with."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(index, tokens[index]) for index in special],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {**BYTE_LEVEL, "use_regex": True},
            ],
        },
        "post_processor": None,
        "decoder": {**BYTE_LEVEL, "add_prefix_space": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": merges,
        },
    }


def _token_id(reader: gguf.GGUFReader, name: str) -> int:
    return int(reader.fields[f"tokenizer.ggml.{name}_token_id"].contents())


def _added(index: int, content: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": content, **flags, "special": True}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
