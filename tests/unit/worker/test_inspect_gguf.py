"""GGUF headers: the same as the gguf package writes and reads, and hostile ones."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from sparse_models import folder, gguf_metadata, gguf_shapes, gguf_text, write_gguf

from qmodel.api.methods import Method
from qmodel.worker.errors import SourceInvalid, StepError, UnsupportedModel
from qmodel.worker.inspect import gguf as reader
from qmodel.worker.inspect import inspect
from qmodel.worker.report import Inspection


def inspected(path: Path) -> Inspection:
    return inspect(folder(path), Method.NONE)


def test_a_file_of_the_gguf_package(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_block_count(2)
    writer.add_context_length(4096)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_key_length(32)
    writer.add_value_length(32)
    writer.add_token_list([f"token {number}" for number in range(20_000)])
    writer.add_token_scores([0.5] * 20_000)
    writer.add_chat_template("{{ messages }}")
    writer.add_tensor("token_embd.weight", np.zeros((20_000, 64), np.float16))
    for layer in range(2):
        writer.add_tensor(f"blk.{layer}.attn_k.weight", np.zeros((64, 64), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (tmp_path / "mmproj-model.gguf").write_bytes(b"a projector")
    found = inspected(tmp_path)
    assert found == inspected(path)
    assert found.architecture == "qwen3"
    assert found.parameters == 20_000 * 64 + 2 * 64 * 64
    assert found.weight_bytes == 2 * found.parameters
    assert (found.vocabulary_size, found.context_length, found.layers) == (20_000, 4096, 2)
    assert (found.kv.kv_heads, found.kv.key_head_dim, found.kv.full_layers) == (2, 32, 2)
    assert found.quantization is None
    assert found.chat_template


def test_the_types_are_those_of_the_gguf_package() -> None:
    known = {number.value: (number.name, *sizes) for number, sizes in gguf.GGML_QUANT_SIZES.items()}
    shared = known.keys() & reader._TYPES.keys()
    assert len(shared) >= 32
    assert {number: known[number] for number in shared} == {
        number: reader._TYPES[number] for number in shared
    }


def test_a_quantized_file_says_how(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", gguf_metadata(), gguf_shapes(), kind=3)
    quantization = inspected(tmp_path).quantization
    assert quantization
    assert (quantization.format, quantization.description) == ("gguf", "GGUF Q4_1")


def changed(metadata: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return metadata | {key.replace("__", "."): value for key, value in changes.items()}


SOUND = gguf_metadata()
HEADERS: list[tuple[str, dict[str, Any], dict[str, list[int]], type[StepError], str]] = [
    ("an encoder", gguf_metadata("bert"), gguf_shapes(), UnsupportedModel, "'bert'"),
    ("a projector", gguf_metadata("clip"), gguf_shapes(), UnsupportedModel, "'clip'"),
    ("an adapter", changed(SOUND, general__type="adapter"), gguf_shapes(), UnsupportedModel,
     "type adapter"),
    ("one part", changed(SOUND, split__count=3), gguf_shapes(), UnsupportedModel, "split"),
    ("no architecture", {"general.name": "x"}, gguf_shapes(), UnsupportedModel, "none"),
    ("other width", gguf_metadata(embedding_length=32), gguf_shapes(), SourceInvalid, "128 x 64"),
    ("other vocabulary", changed(SOUND, tokenizer__ggml__tokens=["a"]), gguf_shapes(),
     SourceInvalid, "1 tokens"),
    ("no embedding", SOUND, {"x": [64]}, SourceInvalid, "no token_embd.weight"),
    ("absurd layers", gguf_metadata(block_count=1 << 30), gguf_shapes(), SourceInvalid,
     "block_count"),
    ("no context", {k: v for k, v in SOUND.items() if "context" not in k}, gguf_shapes(),
     SourceInvalid, "context_length"),
    ("odd alignment", changed(SOUND, general__alignment="x"), gguf_shapes(), SourceInvalid,
     "alignment"),
    ("zero alignment", changed(SOUND, general__alignment=0), gguf_shapes(), SourceInvalid,
     "alignment"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "metadata", "shapes", "error", "told"), HEADERS, ids=[row[0] for row in HEADERS]
)
def test_refused_headers(
    tmp_path: Path, name: str, metadata: dict[str, Any], shapes: Any, error: Any, told: str
) -> None:
    path = write_gguf(tmp_path / f"{name}.gguf", metadata, shapes)
    with pytest.raises(error, match=told):
        inspected(path)


def start(tensors: int, entries: int, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, entries) + rest


def entry(kind: int, rest: bytes) -> bytes:
    return start(0, 1, gguf_text("k") + struct.pack("<I", kind) + rest)


def tensor(dimensions: int, extents: list[int], kind: int) -> bytes:
    shape = struct.pack(f"<{len(extents)}Q", *extents)
    return start(1, 0, gguf_text("t") + struct.pack("<I", dimensions) + shape
                 + struct.pack("<IQ", kind, 0))  # fmt: skip


BYTES: list[tuple[str, bytes, type[StepError], str]] = [
    ("empty", b"", SourceInvalid, "beyond its 0 bytes"),
    ("no magic", b"GGML" + bytes(100), SourceInvalid, "begin with GGUF"),
    ("old version", b"GGUF" + struct.pack("<IQQ", 1, 0, 0), UnsupportedModel, "version 1"),
    ("big endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0), UnsupportedModel, "version 50331648"),
    ("absurd tensors", start(1 << 60, 0), SourceInvalid, "announces"),
    ("absurd entries", start(0, 1 << 60), SourceInvalid, "announces"),
    ("cut short", start(5, 5), SourceInvalid, "beyond its"),
    ("absurd key", start(0, 1, struct.pack("<Q", 1 << 62)), SourceInvalid, "beyond its"),
    ("unknown value", entry(99, bytes(100)), SourceInvalid, "unknown type 99"),
    ("absurd array", entry(9, struct.pack("<IQ", 4, 1 << 60)), SourceInvalid, "beyond its"),
    ("absurd texts", entry(9, struct.pack("<IQ", 8, 1 << 60)), SourceInvalid, "array of"),
    ("array of arrays", entry(9, struct.pack("<IQ", 9, 1)), SourceInvalid, "array of type 9"),
    ("no dimensions", tensor(0, [], 0), SourceInvalid, "0 dimensions"),
    ("many dimensions", tensor(1000, [1], 0), SourceInvalid, "1000 dimensions"),
    ("absurd extent", tensor(2, [1 << 40, 1 << 40], 0), SourceInvalid, "shape"),
    ("half a block", tensor(1, [33], 8), SourceInvalid, "as Q8_0"),
    ("unknown tensor type", tensor(1, [32], 200), UnsupportedModel, "unknown type 200"),
    ("missing data", tensor(1, [32], 0), SourceInvalid, "truncated"),
]


@pytest.mark.parametrize(("name", "content", "error", "told"), BYTES, ids=[row[0] for row in BYTES])
def test_refused_bytes(
    tmp_path: Path, name: str, content: bytes, error: type[StepError], told: str
) -> None:
    path = tmp_path / f"{name}.gguf"
    path.write_bytes(content)
    with pytest.raises(error, match=told):
        inspected(path)


def test_a_header_beyond_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(entry(9, struct.pack("<IQ", 4, 1 << 28)))
    os.truncate(path, 4 << 30)
    with pytest.raises(SourceInvalid, match="more than 50331648 bytes"):
        inspected(path)


def test_truncated_data(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", SOUND, gguf_shapes(), missing_bytes=1)
    with pytest.raises(SourceInvalid, match="it is truncated"):
        inspected(path)


LAYOUTS: list[tuple[str, dict[str, Any], Callable[[int], list[str]], tuple[int, ...]]] = [
    ("grouped heads", gguf_metadata(), lambda _: ["attn_k"], (2, 0, 0, 0, 2, 16, 16)),
    ("no kv heads stated", gguf_metadata("llama", **{"attention.head_count_kv": 0}),
     lambda _: ["attn_k"], (2, 0, 0, 0, 4, 16, 16)),
    ("own widths", gguf_metadata("llama",
     **{"attention.key_length": 192, "attention.value_length": 128}),
     lambda _: ["attn_k"], (2, 0, 0, 0, 2, 192, 128)),
    ("gemma3 window by its period", gguf_metadata("gemma3", block_count=26,
     **{"attention.sliding_window": 512}), lambda _: ["attn_k"], (4, 22, 512, 0, 2, 16, 16)),
    ("gemma2 window", gguf_metadata("gemma2", block_count=26,
     **{"attention.sliding_window": 4096}), lambda _: ["attn_k"], (13, 13, 4096, 0, 2, 16, 16)),
    ("a flag for each layer", gguf_metadata("gemma4", block_count=4,
     **{"attention.sliding_window": 8,
        "attention.sliding_window_pattern": [True, True, False, True]}),
     lambda _: ["attn_k"], (1, 3, 8, 0, 2, 16, 16)),
    ("gemma4 12b", gguf_metadata("gemma4", block_count=6,
     **{"attention.sliding_window": 1024, "attention.head_count_kv": [8, 8, 8, 8, 8, 1],
        "attention.key_length": 512, "attention.value_length": 512,
        "attention.key_length_swa": 256, "attention.value_length_swa": 256,
        "attention.sliding_window_pattern": [True] * 5 + [False]}),
     lambda _: ["attn_k"], (1, 5, 1024, 0, 1, 512, 512, 8, 256, 256)),
    ("gemma4 e4b shares caches", gguf_metadata("gemma4", block_count=12,
     **{"attention.sliding_window": 512, "attention.shared_kv_layers": 6,
        "attention.key_length": 512, "attention.value_length": 512,
        "attention.key_length_swa": 256, "attention.value_length_swa": 256,
        "attention.sliding_window_pattern": ([True] * 5 + [False]) * 2}),
     lambda _: ["attn_k"], (1, 5, 512, 0, 2, 512, 512, 256, 256)),
    ("a window that llama.cpp ignores", gguf_metadata("phi3", **{"attention.sliding_window": 2047}),
     lambda _: ["attn_qkv"], (2, 0, 0, 0, 2, 16, 16)),
    ("mamba", gguf_metadata("mamba", **{"attention.head_count": 0, "attention.head_count_kv": 0}),
     lambda _: ["ssm_a", "ssm_in"], (0, 0, 0, 2, 0, 0, 0)),
    ("jamba", gguf_metadata("jamba", block_count=8,
     **{"attention.head_count_kv": [0, 0, 0, 0, 2, 0, 0, 0]}),
     lambda layer: ["attn_k"] if layer == 4 else ["ssm_a"], (1, 0, 0, 7, 2, 16, 16)),
    ("falcon-h1 has both", gguf_metadata("falcon-h1"), lambda _: ["attn_k", "ssm_a"],
     (2, 0, 0, 2, 2, 16, 16)),
    ("linear attention", gguf_metadata("qwen3next", block_count=4),
     lambda layer: ["attn_k"] if layer == 3 else ["attn_qkv", "ssm_a"], (1, 0, 0, 3, 2, 16, 16)),
    ("latent attention", gguf_metadata("deepseek2", **{"attention.head_count_kv": 1,
     "attention.key_length": 576, "attention.value_length": 512,
     "attention.key_length_mla": 192, "attention.value_length_mla": 128}),
     lambda _: ["attn_kv_a_mqa"], (2, 0, 0, 0, 1, 576, 0)),
    ("predicting layers", gguf_metadata("glm4moe", block_count=3, nextn_predict_layers=1),
     lambda _: ["attn_k"], (2, 0, 0, 0, 2, 16, 16)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "metadata", "names", "expected"), LAYOUTS, ids=[row[0] for row in LAYOUTS]
)
def test_kv_layout(
    tmp_path: Path,
    name: str,
    metadata: dict[str, Any],
    names: Callable[[int], list[str]],
    expected: tuple[int, ...],
) -> None:
    architecture = metadata["general.architecture"]
    shapes = {"token_embd.weight": [128, 64]}
    rows = expected[4] * expected[5] or 32
    for layer in range(metadata[f"{architecture}.block_count"]):
        shapes |= {f"blk.{layer}.{part}.weight": [rows, 64] for part in names(layer)}
    path = write_gguf(tmp_path / f"{name}.gguf", metadata, shapes)
    found = inspected(path)
    assert tuple(found.kv.model_dump(exclude_none=True).values()) == expected
    assert found.attention_heads == (None if name == "mamba" else 4)
