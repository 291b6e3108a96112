"""Model folders with real headers and no weights: files are as large as they say, but sparse."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qmodel.worker.sources.folder import Folder
from qmodel.worker.task import FolderSource

Shapes = Mapping[str, Sequence[int]]

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "max_position_embeddings": 256,
}


def llama_shapes(config: Mapping[str, Any], attention: str = "self_attn") -> dict[str, list[int]]:
    """Return the shapes that fit a config of the Llama family."""
    hidden = config["hidden_size"]
    dim = config.get("head_dim", hidden // config["num_attention_heads"])
    rows = config.get("num_key_value_heads", config["num_attention_heads"]) * dim
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden]}
    for layer in range(config["num_hidden_layers"]):
        shapes[f"model.layers.{layer}.{attention}.k_proj.weight"] = [rows, hidden]
    return shapes


def safetensors_header(shapes: Shapes) -> tuple[dict[str, Any], int]:
    """Return a header for BF16 tensors in a row, and the bytes that they take."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        begin, size = end, 2
        for extent in shape:
            size *= extent
        end = begin + size
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    return header, end


def write_safetensors(path: Path, shapes: Shapes, *, missing_bytes: int = 0) -> None:
    header, data_bytes = safetensors_header(shapes)
    write_raw_safetensors(path, json.dumps(header).encode(), data_bytes - missing_bytes)


def write_raw_safetensors(path: Path, header: bytes, data_bytes: int) -> None:
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + data_bytes)


def write_model(
    folder: Path, config: Mapping[str, Any] | None = None, shapes: Shapes | None = None
) -> Path:
    """Write a model that can be inspected; by default a small Llama."""
    folder.mkdir(parents=True, exist_ok=True)
    config = LLAMA if config is None else config
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    write_safetensors(folder / "model.safetensors", shapes or llama_shapes(config))
    return folder


def folder(path: Path) -> Folder:
    return Folder(FolderSource(path=str(path)))


_CODES = {bool: (7, "?"), int: (4, "I"), float: (6, "f")}


def gguf_value(value: Any) -> bytes:
    """Return a metadata value with its type."""
    if isinstance(value, str):
        return struct.pack("<I", 8) + gguf_text(value)
    if isinstance(value, list):
        if isinstance(value[0], str):
            items = b"".join(map(gguf_text, value))
            return struct.pack("<IIQ", 9, 8, len(value)) + items
        kind, code = _CODES[type(value[0])]
        return struct.pack("<IIQ", 9, kind, len(value)) + struct.pack(
            f"<{len(value)}{code}", *value
        )
    kind, code = _CODES[type(value)]
    return struct.pack("<I" + code, kind, value)


def gguf_text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_header(metadata: Mapping[str, Any], shapes: Shapes, kind: int = 8) -> tuple[bytes, int]:
    """Return a header for tensors of one type (Q8_0 by default), and the bytes of their data."""
    block, block_bytes = {0: (1, 4), 8: (32, 34), 3: (32, 20)}[kind]
    content = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(metadata))
    for key, value in metadata.items():
        content += gguf_text(key) + gguf_value(value)
    offset = 0
    for name, shape in shapes.items():
        content += gguf_text(name) + struct.pack("<I", len(shape))
        content += struct.pack(f"<{len(shape)}Q", *reversed(shape))
        content += struct.pack("<IQ", kind, offset)
        size = block_bytes
        for extent in shape:
            size *= extent
        offset += -(-(size // block) // 32) * 32
    return content + b"\0" * (-len(content) % 32), offset


def write_gguf(
    path: Path,
    metadata: Mapping[str, Any],
    shapes: Shapes,
    *,
    kind: int = 8,
    missing_bytes: int = 0,
) -> Path:
    content, data_bytes = gguf_header(metadata, shapes, kind)
    with path.open("wb") as file:
        file.write(content)
        file.truncate(len(content) + data_bytes - missing_bytes)
    return path


def gguf_metadata(architecture: str = "llama", **values: Any) -> dict[str, Any]:
    """Return the metadata of a small model."""
    sizes = {
        "block_count": 2,
        "context_length": 256,
        "embedding_length": 64,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
    } | values
    return {
        "general.architecture": architecture,
        "tokenizer.ggml.tokens": [f"t{number}" for number in range(128)],
        "tokenizer.chat_template": "{{ messages }}",
    } | {f"{architecture}.{key}": value for key, value in sizes.items()}


def gguf_shapes(layers: int = 2) -> dict[str, list[int]]:
    """Return the shapes that fit `gguf_metadata`."""
    shapes = {"token_embd.weight": [128, 64]}
    for layer in range(layers):
        shapes[f"blk.{layer}.attn_k.weight"] = [32, 64]
    return shapes
