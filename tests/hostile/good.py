"""The good model that every trick changes: a Llama of a few kilobytes, and the same as GGUF."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model import tiny

SHAPE = tiny.Shape(layers=2, hidden=64, intermediate=128, heads=4, kv_heads=2, vocabulary=128)
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message.role + '|>' + message.content }}{% endfor %}"
)
TOKENIZER = {
    "model_max_length": 256,
    "chat_template": TEMPLATE,
    "tokenizer_class": "LlamaTokenizer",
}
TENSORS = {"token_embd.weight": (128, 64), "blk.0.attn_k.weight": (32, 64)}
F32 = 0
PIECES = b"".join(
    b"\x0a" + bytes([len(piece)]) + piece
    for piece in (b"\x0a\x05<unk>\x18\x02", b"\x0a\x03<s>\x18\x03", b"\x0a\x03\xe2\x96\x81")
)
"""Of a sentencepiece model: the begin of each, two with a type."""


def write(folder: Path) -> Path:
    """Write the good model."""
    tiny.write(folder, SHAPE)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER))
    return folder


def header(folder: Path) -> dict[str, Any]:
    """Return the header of the good weights."""
    content = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    found: dict[str, Any] = json.loads(content[8 : 8 + length])
    return found


def safetensors(header: bytes | Mapping[str, Any], data_bytes: int = 0) -> bytes:
    """Return a file with that header, and as many bytes of data."""
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + bytes(data_bytes)


def metadata(**changes: Any) -> dict[str, Any]:
    """Return the metadata of the good GGUF; two underscores stand for a dot, None for absence."""
    found = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.context_length": 256,
        "llama.embedding_length": 64,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "tokenizer.ggml.tokens": [f"t{number}" for number in range(128)],
        "tokenizer.chat_template": TEMPLATE,
    } | {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in found.items() if value is not None}


def value(item: Any) -> bytes:
    """Return a metadata value with its type."""
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return struct.pack("<I", 8) + text(item)
    if isinstance(item, list):
        return struct.pack("<IIQ", 9, 8, len(item)) + b"".join(map(text, item))
    return struct.pack("<IQ", 10, item)


def text(content: str) -> bytes:
    """Return a text with its length."""
    return struct.pack("<Q", len(content.encode())) + content.encode()


def tensor(name: str, shape: Sequence[int], offset: int, kind: int = F32) -> bytes:
    """Return the entry of one tensor."""
    extents = struct.pack(f"<{len(shape)}Q", *reversed(shape))
    return text(name) + struct.pack("<I", len(shape)) + extents + struct.pack("<IQ", kind, offset)


def entries() -> list[bytes]:
    """Return the entries of the good tensors."""
    found, offset = [], 0
    for name, (rows, width) in TENSORS.items():
        found.append(tensor(name, (rows, width), offset))
        offset += 4 * rows * width
    return found


def gguf(
    told: Mapping[str, Any] | None = None,
    tensors: Sequence[bytes] | None = None,
    start: bytes | None = None,
) -> bytes:
    """Return a GGUF file.

    Parameters
    ----------
    told
        Metadata; the good one if absent.
    tensors
        Entries of tensors; the good ones if absent.
    start
        Everything before the metadata; right for the rest if absent.
    """
    pairs = metadata() if told is None else told
    rows = entries() if tensors is None else tensors
    begin = b"GGUF" + struct.pack("<IQQ", 3, len(rows), len(pairs)) if start is None else start
    content = begin + b"".join(text(key) + value(item) for key, item in pairs.items())
    content += b"".join(rows)
    data = sum(4 * rows_ * width for rows_, width in TENSORS.values())
    return content + bytes(-len(content) % 32 + data)
