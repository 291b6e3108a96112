"""The models made for tests are what the worker takes them for."""

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from model import checkpoint, tensors, tiny


def test_bfloat16_rounds_to_even() -> None:
    values = np.array([1.0, 1.00390625, 1.01171875, -2.5], dtype=np.float32)
    words = tensors.to_bfloat16(values)
    assert [hex(word) for word in words] == ["0x3f80", "0x3f80", "0x3f82", "0xc020"]


def test_written_file_is_read_by_the_library(tmp_path: Path) -> None:
    tiny.write(tmp_path)
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        names = list(file.keys())
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    assert shapes == {name: values.shape for name, values in tiny.weights(tiny.Shape()).items()}


def test_weights_depend_on_the_name_alone() -> None:
    assert np.array_equal(tensors.random_weights("a", 4, 4), tensors.random_weights("a", 4, 4))
    assert not np.array_equal(tensors.random_weights("a", 4, 4), tensors.random_weights("b", 4, 4))


def test_rows_return_from_the_order_of_llama_cpp() -> None:
    heads, rows = 2, 8
    values = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    # What the converter does on the way to GGUF (`LlamaModel.permute`).
    permuted = values.reshape(heads, 2, rows // heads // 2, 3).swapaxes(1, 2).reshape(rows, 3)
    assert np.array_equal(checkpoint.interleaved_to_halves(permuted, heads), values)


@pytest.mark.parametrize(
    ("gguf_name", "name"),
    [
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("blk.7.attn_k.weight", "model.layers.7.self_attn.k_proj.weight"),
        ("output_norm.weight", "model.norm.weight"),
    ],
)
def test_checkpoint_names(gguf_name: str, name: str) -> None:
    assert checkpoint.checkpoint_name(gguf_name) == name
