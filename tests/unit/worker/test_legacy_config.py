import json
from pathlib import Path
from typing import Any

import pytest

from qmodel.worker.backends import legacy_config
from qmodel.worker.errors import UnsupportedModel

KNOWN = ("hidden_size", "rope_theta", "rope_scaling", "torch_dtype", "use_cache", "sliding_window")
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def known_keys(model_type: str) -> tuple[str, ...]:
    return (*KNOWN, "partial_rotary_factor") if model_type == "phi3" else KNOWN


def translated(model_type: str = "llama", **keys: Any) -> dict[str, Any]:
    config = {"model_type": model_type, "transformers_version": "5.17.0", **keys}
    old = legacy_config.translated(config, known_keys)
    return {key: old[key] for key in old if key not in ("model_type", "transformers_version")}


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ({"dtype": "bfloat16"}, {"torch_dtype": "bfloat16"}),
        ({"torch_dtype": "bfloat16"}, {"torch_dtype": "bfloat16"}),
        (
            {"rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"}},
            {"torch_dtype": None, "rope_theta": 100000.0, "rope_scaling": None},
        ),
        (
            {"rope_parameters": {"rope_theta": 500000.0, **LLAMA3}},
            {"torch_dtype": None, "rope_theta": 500000.0, "rope_scaling": LLAMA3},
        ),
        (
            {"rope_parameters": {"rope_theta": 1e4, "rope_type": "default", "factor": None}},
            {"torch_dtype": None, "rope_theta": 1e4, "rope_scaling": None},
        ),
        (
            {"rope_theta": 10000.0, "rope_scaling": None, "torch_dtype": "float16"},
            {"rope_theta": 10000.0, "rope_scaling": None, "torch_dtype": "float16"},
        ),
        (
            {"rope_parameters": {"rope_theta": 1e4}, "rope_theta": 1e4, "torch_dtype": "float16"},
            {"rope_theta": 1e4, "rope_scaling": None, "torch_dtype": "float16"},
        ),
        (
            {"layer_types": ["full_attention"] * 2, "torch_dtype": "float16"},
            {"torch_dtype": "float16"},
        ),
        (
            {"use_bidirectional_attention": None, "torch_dtype": "float16"},
            {"use_bidirectional_attention": None, "torch_dtype": "float16"},
        ),
    ],
)
def test_what_is_certain_is_translated(new: dict[str, Any], old: dict[str, Any]) -> None:
    assert translated(**new) == old


def test_the_rotated_share_is_moved_where_the_old_version_has_it() -> None:
    rope = {"rope_theta": 1e4, "rope_type": "default", "partial_rotary_factor": 0.75}
    assert translated("phi3", rope_parameters=rope)["partial_rotary_factor"] == 0.75
    with pytest.raises(UnsupportedModel, match=r"rope_parameters.partial_rotary_factor"):
        translated("gpt_neox", rope_parameters=rope)


def test_windows_of_gemma2_are_where_the_old_version_puts_them() -> None:
    kinds = ["sliding_attention", "full_attention"] * 2
    assert "layer_types" not in translated("gemma2", layer_types=kinds)
    with pytest.raises(UnsupportedModel, match="layer_types"):
        translated("gemma2", layer_types=kinds[::-1])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"rope_parameters": {"rope_type": "proportional"}}, "rope_type 'proportional'"),
        ({"rope_parameters": {"rope_theta": 1e4, "beta": 2}}, r"rope_parameters.beta"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e6}}}, "differ between layers"),
        ({"rope_parameters": {"rope_theta": 1e6}, "rope_theta": 1e4}, "says rope_theta twice"),
        ({"dtype": "bfloat16", "torch_dtype": "float16"}, "says torch_dtype twice"),
        ({"layer_types": ["sliding_attention", "full_attention"]}, "layer_types"),
        ({"layer_types": []}, "layer_types"),
        ({"attention_sinks": True, "softcap": 30}, "attention_sinks, softcap, which"),
        ({"model_type": None}, "names no model_type"),
    ],
)
def test_what_is_not_certain_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedModel, match=message):
        legacy_config.translated({"model_type": "llama"} | keys, known_keys)


def test_an_old_config_may_say_what_it_likes() -> None:
    config = {"model_type": "llama", "transformers_version": "4.51.3", "note": "hello"}
    assert legacy_config.translated(config, known_keys)["note"] == "hello"


def test_the_copy_links_the_weights_and_leaves_the_source(tmp_path: Path) -> None:
    config = {"model_type": "llama", "rope_parameters": {"rope_theta": 5e5}}
    tokenizer = {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": ["<a>"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with legacy_config.readable(tmp_path, known_keys) as copy:
        assert (copy / "model.safetensors").is_symlink()
        assert (copy / "model.safetensors").read_bytes() == b"weights"
        assert json.loads((copy / "config.json").read_text())["rope_theta"] == 5e5
        assert json.loads((copy / "tokenizer_config.json").read_text()) == {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "additional_special_tokens": ["<a>"],
        }
    assert not copy.exists()
    assert json.loads((tmp_path / "config.json").read_text()) == config


@pytest.mark.parametrize("name", ["GPT2TokenizerFast", "LlamaTokenizerFast"])
def test_tokenizers_that_the_old_version_has_are_kept(name: str) -> None:
    assert legacy_config.translated_tokenizer({"tokenizer_class": name}) == {
        "tokenizer_class": name
    }
