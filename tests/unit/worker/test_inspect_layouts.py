"""KV layouts of real architectures: their published configs, and tensors named as theirs."""

from pathlib import Path
from typing import Any

import pytest
from sparse_models import folder, llama_shapes, write_model

from qmodel.api.methods import Method
from qmodel.worker.errors import SourceInvalid
from qmodel.worker.inspect import inspect


def sizes(architecture: str, layers: int, heads: int, kv_heads: int, **more: Any) -> dict[str, Any]:
    return {
        "architectures": [architecture],
        "hidden_size": 64 * heads,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": 512,
        "max_position_embeddings": 4096,
    } | more


def types(*names: str, repeat: int) -> list[str]:
    return [f"{name}_attention" for name in names] * repeat


ATTENTION: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("multi-head", sizes("LlamaForCausalLM", 4, 8, 8), (4, 0, 0, 0, 8, 64, 64)),
    ("grouped", sizes("Qwen3ForCausalLM", 4, 8, 2, head_dim=128), (4, 0, 0, 0, 2, 128, 128)),
    ("one", sizes("GemmaForCausalLM", 4, 8, 1, head_dim=256), (4, 0, 0, 0, 1, 256, 256)),
    ("mistral's window is not used", sizes("MistralForCausalLM", 4, 8, 2, sliding_window=4096),
     (4, 0, 0, 0, 2, 64, 64)),
    ("gemma2", sizes("Gemma2ForCausalLM", 26, 8, 4, sliding_window=4096),
     (13, 13, 4096, 0, 4, 64, 64)),
    ("gemma3 by pattern", sizes("Gemma3ForCausalLM", 26, 4, 1, sliding_window=512,
     sliding_window_pattern=6), (4, 22, 512, 0, 1, 64, 64)),
    ("gemma3 by types", sizes("Gemma3ForCausalLM", 6, 4, 1, sliding_window=512,
     layer_types=types(*["sliding"] * 5, "full", repeat=1)), (1, 5, 512, 0, 1, 64, 64)),
    ("gpt-oss", sizes("GptOssForCausalLM", 24, 8, 8, head_dim=64, sliding_window=128,
     layer_types=types("sliding", "full", repeat=12)), (12, 12, 128, 0, 8, 64, 64)),
    ("llama4", sizes("Llama4ForCausalLM", 8, 8, 8, attention_chunk_size=8192),
     (2, 6, 8192, 0, 8, 64, 64)),
    ("smallthinker attends first", sizes("SmallThinkerForCausalLM", 8, 4, 4, sliding_window=64),
     (2, 6, 64, 0, 4, 64, 64)),
    ("shared caches", sizes("Gemma3nForCausalLM", 10, 4, 2, sliding_window=512,
     num_kv_shared_layers=5, layer_types=types(*["sliding"] * 4, "full", repeat=2)),
     (1, 4, 512, 0, 2, 64, 64)),
    ("gemma4 12b", sizes("Gemma4UnifiedForConditionalGeneration", 12, 16, 8, head_dim=256,
     global_head_dim=512, num_global_key_value_heads=1, attention_k_eq_v=True,
     sliding_window=1024, layer_types=types(*["sliding"] * 5, "full", repeat=2)),
     (2, 10, 1024, 0, 1, 512, 512, 8, 256, 256)),
    ("gemma4 12b saved anew", sizes("Gemma4UnifiedForConditionalGeneration", 12, 16, 8,
     head_dim=256, attention_k_eq_v=True, sliding_window=1024,
     layer_types=types(*["sliding"] * 5, "full", repeat=2),
     per_layer_config={"05": {"head_dim": 512, "num_key_value_heads": 1},
                       "11": {"head_dim": 512, "num_key_value_heads": 1}}),
     (2, 10, 1024, 0, 1, 512, 512, 8, 256, 256)),
    ("gemma4 e4b shares caches", sizes("Gemma4ForConditionalGeneration", 12, 8, 2, head_dim=256,
     global_head_dim=512, num_global_key_value_heads=None, attention_k_eq_v=False,
     sliding_window=512, num_kv_shared_layers=6,
     layer_types=types(*["sliding"] * 5, "full", repeat=2)),
     (1, 5, 512, 0, 2, 512, 512, 256, 256)),
    ("gemma4's global heads are not used", sizes("Gemma4ForCausalLM", 6, 8, 2, head_dim=256,
     global_head_dim=512, num_global_key_value_heads=1, attention_k_eq_v=False,
     sliding_window=512), (1, 5, 512, 0, 2, 512, 512, 256, 256)),
    ("mimo", sizes("MiMoV2FlashForCausalLM", 4, 64, 4, head_dim=192, v_head_dim=128,
     swa_num_key_value_heads=8, swa_head_dim=192, swa_v_head_dim=128, sliding_window=128,
     hybrid_layer_pattern=[0, 1, 1, 0]), (2, 2, 128, 0, 4, 192, 128, 8)),
    ("extra predicting layer", sizes("Glm4MoeForCausalLM", 3, 4, 2, num_nextn_predict_layers=1),
     (3, 0, 0, 0, 2, 64, 64)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "config", "expected"), ATTENTION, ids=[r[0] for r in ATTENTION])
def test_attention(
    tmp_path: Path, name: str, config: dict[str, Any], expected: tuple[int, ...]
) -> None:
    path = write_model(tmp_path / name, config)
    assert (
        tuple(inspect(folder(path), Method.GGUF).kv.model_dump(exclude_none=True).values())
        == expected
    )


def test_the_language_model_of_an_image_model(tmp_path: Path) -> None:
    text = sizes("Gemma3ForCausalLM", 6, 4, 1, sliding_window=512)
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "vision_config": {"hidden_size": 9, "num_hidden_layers": 27},
        "text_config": {key: value for key, value in text.items() if key != "architectures"},
    }
    shapes = {f"language_model.{name}": shape for name, shape in llama_shapes(text).items()}
    shapes["vision_tower.encoder.layers.26.self_attn.k_proj.weight"] = [9, 9]
    found = inspect(folder(write_model(tmp_path, config, shapes)), Method.GGUF)
    assert (found.hidden_size, found.layers, found.kv.sliding_layers) == (256, 6, 5)
    assert found.architecture == "Gemma3ForConditionalGeneration"


LEFT_OUT: list[tuple[str, dict[str, Any], dict[str, int], tuple[int, ...]]] = [
    ("Gemma3ForConditionalGeneration", {"hidden_size": 2560, "model_type": "gemma3_text"},
     {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262_208},
     (262_208, 131_072, 8, 4, 256)),
    ("PaliGemmaForConditionalGeneration",
     {"hidden_size": 2304, "vocab_size": 512, "model_type": "gemma2", "num_key_value_heads": 4},
     {"num_attention_heads": 8, "head_dim": 256}, (512, 8192, 8, 4, 256)),
    ("LlavaForConditionalGeneration",
     {"num_key_value_heads": 8, "vocab_size": 32_064, "model_type": "mistral",
      "max_position_embeddings": 32_768},
     {"hidden_size": 4096, "num_attention_heads": 32}, (32_064, 32_768, 32, 8, 128)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("architecture", "text", "rest", "expected"), LEFT_OUT, ids=[r[0] for r in LEFT_OUT]
)
def test_sizes_that_an_image_model_leaves_to_the_library(
    tmp_path: Path,
    architecture: str,
    text: dict[str, Any],
    rest: dict[str, int],
    expected: tuple[int, ...],
) -> None:
    layers = {"num_hidden_layers": 2}
    shapes = llama_shapes(layers | text | rest)
    config = {"architectures": [architecture], "text_config": layers | text}
    shapes = {f"language_model.{name}": shape for name, shape in shapes.items()}
    found = inspect(folder(write_model(tmp_path, config, shapes)), Method.NONE)
    sizes = (found.vocabulary_size, found.context_length, found.attention_heads)
    assert (*sizes, found.kv.kv_heads, found.kv.key_head_dim) == expected


MIXED: list[tuple[str, dict[str, Any], list[list[str]], tuple[int, ...]]] = [
    ("mamba", {"architectures": ["MambaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2,
     "vocab_size": 128}, [["backbone.layers.{}.mixer.A_log"]] * 2, (0, 0, 0, 2, 0, 0, 0)),
    ("jamba", sizes("JambaForCausalLM", 4, 4, 2),
     [["model.layers.{}.mamba.A_log"]] * 3 + [["model.layers.{}.self_attn.k_proj.weight"]],
     (1, 0, 0, 3, 2, 64, 64)),
    ("qwen3-next", sizes("Qwen3NextForCausalLM", 4, 4, 2),
     [["model.layers.{}.linear_attn.A_log", "model.layers.{}.linear_attn.in_proj_qkvz.weight"]] * 3
     + [["model.layers.{}.self_attn.k_proj.weight"]], (1, 0, 0, 3, 2, 64, 64)),
    ("nemotron-h has layers with neither", sizes("NemotronHForCausalLM", 3, 4, 2),
     [["backbone.layers.{}.mixer.A_log"], ["backbone.layers.{}.mixer.up_proj.weight"],
      ["backbone.layers.{}.mixer.k_proj.weight"]], (1, 0, 0, 1, 2, 64, 64)),
    ("falcon-h1 has both", sizes("FalconH1ForCausalLM", 2, 4, 2),
     [["model.layers.{}.mamba.A_log", "model.layers.{}.self_attn.k_proj.weight"]] * 2,
     (2, 0, 0, 2, 2, 64, 64)),
    ("kimi's linear layers", sizes("KimiLinearForCausalLM", 2, 4, 4, linear_attn_config={}),
     [["model.layers.{}.self_attn.A_log", "model.layers.{}.self_attn.k_proj.weight"],
      ["model.layers.{}.self_attn.kv_a_proj_with_mqa.weight"]], (1, 0, 0, 1, 4, 64, 64)),
    ("lfm2", sizes("Lfm2ForCausalLM", 2, 4, 2),
     [["model.layers.{}.conv.conv.weight"], ["model.layers.{}.self_attn.k_proj.weight"]],
     (1, 0, 0, 1, 2, 64, 64)),
    ("deepseek's latent attention", sizes("DeepseekV3ForCausalLM", 2, 4, 4, kv_lora_rank=512,
     qk_rope_head_dim=64, qk_nope_head_dim=128, v_head_dim=128),
     [["model.layers.{}.self_attn.kv_a_proj_with_mqa.weight"]] * 2, (2, 0, 0, 0, 1, 576, 0)),
    ("minicpm3 caches it whole", sizes("MiniCPM3ForCausalLM", 2, 4, 4, kv_lora_rank=256,
     qk_rope_head_dim=32, qk_nope_head_dim=64, v_head_dim=64),
     [["model.layers.{}.self_attn.kv_a_proj_with_mqa.weight"]] * 2, (2, 0, 0, 0, 4, 96, 64)),
    ("gpt-2", {"architectures": ["GPT2LMHeadModel"], "n_embd": 64, "n_layer": 2, "n_head": 4,
     "vocab_size": 128, "n_positions": 1024}, [["h.{}.attn.c_attn.weight"]] * 2,
     (2, 0, 0, 0, 4, 16, 16)),
    ("falcon's one head", sizes("FalconForCausalLM", 2, 4, 4, multi_query=True)
     | {"num_key_value_heads": None},
     [["transformer.h.{}.self_attention.query_key_value.weight"]] * 2,
     (2, 0, 0, 0, 1, 64, 64)),
    ("heads differ by layer", sizes("OpenELMForCausalLM", 2, 4, 2, num_kv_heads=[2, 3],
     num_key_value_heads=None, head_dim=64), [["transformer.layers.{}.attn.qkv_proj.weight"]] * 2,
     (2, 0, 0, 0, 3, 64, 64)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "config", "names", "expected"), MIXED, ids=[r[0] for r in MIXED])
def test_layers_by_their_tensors(
    tmp_path: Path,
    name: str,
    config: dict[str, Any],
    names: list[list[str]],
    expected: tuple[int, ...],
) -> None:
    hidden = config.get("hidden_size") or config["n_embd"]
    rows = 128 if "k_proj" in str(names) else 32
    shapes = {
        pattern.format(layer): [rows, hidden]
        for layer, patterns in enumerate(names)
        for pattern in patterns
    }
    path = write_model(tmp_path / name, config, shapes)
    assert (
        tuple(inspect(folder(path), Method.GGUF).kv.model_dump(exclude_none=True).values())
        == expected
    )


def test_a_layers_own_sizes_are_bounded(tmp_path: Path) -> None:
    own = {"1": {"head_dim": 1 << 30}, "9" * 5000: {}, "x": {}, "2": 3}
    config = sizes("Gemma4ForCausalLM", 6, 4, 1, sliding_window=512, per_layer_config=own)
    with pytest.raises(SourceInvalid, match="head_dim"):
        inspect(folder(write_model(tmp_path, config)), Method.GGUF)


def test_a_pattern_for_too_few_layers(tmp_path: Path) -> None:
    config = sizes("Gemma3ForCausalLM", 6, 4, 1, sliding_window=512, layer_types=["full_attention"])
    with pytest.raises(SourceInvalid, match="tells 1 layers, the model has 6"):
        inspect(folder(write_model(tmp_path, config)), Method.GGUF)


def test_an_embedding_that_a_matrix_widens(tmp_path: Path) -> None:
    config = sizes("OPTForCausalLM", 2, 4, 4, word_embed_proj_dim=128)
    shapes = {f"model.decoder.layers.{n}.self_attn.k_proj.weight": [256, 256] for n in (0, 1)}
    shapes |= {
        "model.decoder.embed_tokens.weight": [512, 128],
        "model.decoder.project_in.weight": [256, 128],
    }
    assert inspect(folder(write_model(tmp_path / "a", config, shapes)), Method.NONE).layers == 2
    del shapes["model.decoder.project_in.weight"]
    with pytest.raises(SourceInvalid, match="hidden_size 256, but"):
        inspect(folder(write_model(tmp_path / "b", config, shapes)), Method.NONE)


VARYING: list[tuple[str, dict[str, Any], list[int]]] = [
    ("gemma4", sizes("Gemma4ForCausalLM", 2, 16, 8, head_dim=256, global_head_dim=512,
     num_global_key_value_heads=2), [2048, 1024]),
    ("mimo", sizes("MiMoV2FlashForCausalLM", 2, 64, 4, head_dim=192, v_head_dim=128,
     swa_num_key_value_heads=8), [768, 1536]),
    ("step", sizes("Step3p5ForCausalLM", 2, 64, 64, head_dim=128, num_key_value_heads=None,
     attention_other_setting={"num_attention_heads": 96}), [1024, 1024]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "config", "rows"), VARYING, ids=[row[0] for row in VARYING])
def test_layers_may_differ(
    tmp_path: Path, name: str, config: dict[str, Any], rows: list[int]
) -> None:
    hidden = config["hidden_size"]
    shapes = {
        f"model.layers.{layer}.self_attn.k_proj.weight": [count, hidden]
        for layer, count in enumerate(rows)
    }
    assert inspect(folder(write_model(tmp_path / name, config, shapes)), Method.NONE).layers == 2


def test_heads_by_another_name(tmp_path: Path) -> None:
    named = {"num_key_value_heads": None, "num_attention_groups": 2}
    config = sizes("Step3p5ForCausalLM", 1, 8, 8, attention_other_setting={}) | named
    shapes = {"model.layers.0.self_attn.k_proj.weight": [128, 512]}
    found = inspect(folder(write_model(tmp_path, config, shapes)), Method.NONE)
    assert found.kv.kv_heads == 2


def test_queries_with_a_gate(tmp_path: Path) -> None:
    config = sizes("Qwen3NextForCausalLM", 1, 4, 2)
    shapes = llama_shapes(config) | {"model.layers.0.self_attn.q_proj.weight": [512, 256]}
    assert inspect(folder(write_model(tmp_path, config, shapes)), Method.NONE).layers == 1
