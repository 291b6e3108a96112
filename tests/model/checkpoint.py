"""Makes the Hugging Face checkpoint of SmolLM2-135M-Instruct from its GGUF file.

The file's Q4_1 weights are dequantized to bfloat16, so the checkpoint is what a person would
download, with the rounding of 4 bits in it: the unquantized source of every test. Names,
configuration and tokenizer are those of the published repository.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from model import source, tensors, tokenizer

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}


def make() -> Path:
    """Return the folder of the checkpoint, making it the first time (seconds)."""
    modules = [Path(module.__file__ or "") for module in (source, tensors, tokenizer)]
    target = source.folder("smollm2", Path(__file__), *modules)
    if not target.exists():
        scratch = target.with_suffix(".partial")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        write(gguf.GGUFReader(source.gguf_file()), scratch)
        scratch.rename(target)
    return target


def write(reader: gguf.GGUFReader, out: Path, layers: int | None = None) -> None:
    """Write config, tokenizer and weights of a Llama GGUF file into the folder `out`.

    With `layers` only the first so many are kept: a model that has real weights of real widths,
    loads in no time, and talks nonsense.
    """
    config = model_config(reader)
    if layers is not None:
        config["num_hidden_layers"] = layers
    _write_json(out / "config.json", config)
    _write_json(out / "generation_config.json", generation_config(config))
    tokenizer.write(reader, out, config["max_position_embeddings"])
    tensors.write_safetensors(out / "model.safetensors", dict(weights(reader, config)))


def field(reader: gguf.GGUFReader, name: str) -> Any:
    """Return the value of a metadata key of the file; KeyError if it has none."""
    return reader.fields[name].contents()


def model_config(reader: gguf.GGUFReader) -> dict[str, Any]:
    """Return the config.json of the model that the file holds."""

    def llama(name: str) -> Any:
        return field(reader, f"llama.{name}")

    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": field(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": field(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": field(reader, "tokenizer.ggml.padding_token_id"),
        "hidden_act": "silu",
        "hidden_size": llama("embedding_length"),
        "initializer_range": 0.041666666666666664,
        "intermediate_size": llama("feed_forward_length"),
        "max_position_embeddings": llama("context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": llama("attention.head_count"),
        "num_hidden_layers": llama("block_count"),
        "num_key_value_heads": llama("attention.head_count_kv"),
        "rms_norm_eps": round(llama("attention.layer_norm_rms_epsilon"), 9),
        "rope_scaling": None,
        "rope_theta": round(llama("rope.freq_base")),
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": llama("vocab_size"),
    }


def generation_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the generation_config.json that belongs to a config."""
    return {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}


def weights(
    reader: gguf.GGUFReader, config: dict[str, Any]
) -> Iterator[tuple[str, tensors.FloatArray]]:
    """Yield each weight by its checkpoint name, as float32 [rows, columns] or [width]."""
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for tensor in reader.tensors:
        if _layer(tensor.name) >= config["num_hidden_layers"]:
            continue
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        kind = tensor.name.removesuffix(".weight").rsplit(".", 1)[-1]
        if kind in heads:
            values = interleaved_to_halves(values, heads[kind])
        yield checkpoint_name(tensor.name), np.ascontiguousarray(values, dtype=np.float32)


def _layer(name: str) -> int:
    """Return the layer that a GGUF tensor belongs to; -1 for those that belong to none."""
    parts = name.split(".")
    return int(parts[1]) if parts[0] == "blk" else -1


def checkpoint_name(name: str) -> str:
    """Return the Hugging Face name of a Llama tensor; KeyError for one that Llama has not."""
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{LAYER_NAMES[parts[2]]}.weight"
    return f"{TOP_NAMES[parts[0]]}.weight"


def interleaved_to_halves(values: tensors.FloatArray, heads: int) -> tensors.FloatArray:
    """Undo the row order of llama.cpp's rotary embedding.

    llama.cpp rotates neighbouring rows of a head, Hugging Face's Llama rotates row i with row
    i + head_dim / 2; the converter reorders [rows, columns] one way, this the other.
    """
    rows, columns = values.shape
    pairs = values.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
