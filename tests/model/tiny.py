"""A random Llama of a few megabytes, for tests that need a checkpoint but no sense in it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model import tensors


@dataclass(frozen=True)
class Shape:
    """Widths of a Llama; 256 is the least that every k-quant divides."""

    layers: int = 2
    hidden: int = 256
    intermediate: int = 512
    heads: int = 4
    kv_heads: int = 2
    vocabulary: int = 1024

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden // self.heads


def write(out: Path, shape: Shape | None = None) -> Path:
    """Write config.json and model.safetensors of a random Llama into the folder, no tokenizer."""
    shape = shape or Shape()
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config(shape), indent=2) + "\n")
    tensors.write_safetensors(out / "model.safetensors", weights(shape))
    return out


def config(shape: Shape) -> dict[str, Any]:
    """Return the config.json of a random Llama."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": 2048,
        "model_type": "llama",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": shape.vocabulary,
    }


def weights(shape: Shape) -> dict[str, tensors.FloatArray]:
    """Return the weights by checkpoint name, each drawn from its own name."""
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (shape.vocabulary, shape.hidden)
    }
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}"
        shapes |= {f"{prefix}.{name}.weight": size for name, size in _layer(shape).items()}
    shapes["model.norm.weight"] = (shape.hidden,)
    return {name: _values(name, size) for name, size in shapes.items()}


def _layer(shape: Shape) -> dict[str, tuple[int, ...]]:
    query, key = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return {
        "input_layernorm": (shape.hidden,),
        "self_attn.q_proj": (query, shape.hidden),
        "self_attn.k_proj": (key, shape.hidden),
        "self_attn.v_proj": (key, shape.hidden),
        "self_attn.o_proj": (shape.hidden, query),
        "post_attention_layernorm": (shape.hidden,),
        "mlp.gate_proj": (shape.intermediate, shape.hidden),
        "mlp.up_proj": (shape.intermediate, shape.hidden),
        "mlp.down_proj": (shape.hidden, shape.intermediate),
    }


def _values(name: str, size: tuple[int, ...]) -> tensors.FloatArray:
    values = tensors.random_weights(name, *size)
    return values + 1 if len(size) == 1 else values
