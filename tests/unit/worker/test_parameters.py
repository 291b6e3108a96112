from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file

from qmodel.worker import parameters, sharding
from qmodel.worker.errors import EngineFailed
from qmodel.worker.parameters import Parameter
from qmodel.worker.task import Recipe

LAYER = "model.layers.0.mlp.up_proj"
NORM = {"model.norm.weight": np.zeros(64, np.float16)}
PACKED: dict[str, dict[str, Any]] = {
    "compressed-tensors": {
        "weight_packed": np.zeros((128, 8), np.int32),
        "weight_scale": np.zeros((128, 1), np.float16),
        "weight_zero_point": np.zeros((16, 1), np.int32),
        "weight_shape": np.zeros(2, np.int64),
    },
    "bitsandbytes": {
        "weight": np.zeros((4096, 1), np.uint8),
        "weight.absmax": np.zeros(128, np.uint8),
        "weight.quant_state.bitsandbytes__nf4": np.zeros(90, np.uint8),
    },
    "gptq": {
        "qweight": np.zeros((8, 128), np.int32),
        "qzeros": np.zeros((1, 16), np.int32),
        "scales": np.zeros((1, 128), np.float16),
        "g_idx": np.zeros(64, np.int32),
    },
}


def write(folder: Path, tensors: dict[str, Any], name: str = "model.safetensors") -> Path:
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / name)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    weight = {f"{LAYER}.weight": np.zeros((128, 64), np.float16)}
    return write(tmp_path / "source", weight | NORM)


@pytest.mark.parametrize("format_", sorted(PACKED))
def test_a_packed_weight_is_one_parameter(tmp_path: Path, source: Path, format_: str) -> None:
    parts = PACKED[format_]
    folder = write(tmp_path / "out", {f"{LAYER}.{part}": v for part, v in parts.items()} | NORM)
    found = parameters.of_folder(source, folder, Recipe.model_validate({"method": "AWQ"}))
    weight, norm = found.parameters
    assert (weight.name, weight.shape, weight.bits) == (f"{LAYER}.weight", [128, 64], 4)
    assert weight.bytes == sum(value.nbytes for value in parts.values())
    assert norm == Parameter(name="model.norm.weight", dtype="F16", shape=[64], bytes=128)
    assert (found.count(quantized=True), found.count(quantized=False)) == (128 * 64, 64)


def test_a_weight_of_eight_bits(tmp_path: Path, source: Path) -> None:
    scaled = {"weight": np.zeros((128, 64), np.int8), "SCB": np.zeros(128, np.float32)}
    folder = write(tmp_path / "out", {f"{LAYER}.{part}": v for part, v in scaled.items()})
    (weight,) = parameters.of_folder(
        source, folder, Recipe.model_validate({"method": "INT8"})
    ).parameters
    assert (weight.dtype, weight.bits, weight.bytes) == ("I8", 8, 128 * 64 + 512)


@pytest.mark.parametrize(
    ("recipe", "bits"),
    [
        ({"method": "GPTQ", "gptq": {"bits": 8}}, 8),
        ({"method": "GPTQ", "gptq": {"bits": 4}}, 4),
        ({"method": "BitsAndBytes", "bitsAndBytes": {"type": "INT8"}}, 8),
        ({"method": "BitsAndBytes", "bitsAndBytes": {"type": "FP4"}}, 4),
        ({"method": "NVFP4"}, 4),
    ],
)
def test_bits_of_packed_weights_are_the_recipes(recipe: dict[str, Any], bits: int) -> None:
    assert parameters.packed_bits(Recipe.model_validate(recipe)) == bits


def test_a_gguf_file_names_its_types(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    rows = np.zeros((2, 34), np.uint8)
    writer.add_tensor("blk.0.ffn_up.weight", rows, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("output_norm.weight", np.zeros(32, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = parameters.of_gguf(tmp_path / "model.gguf")
    assert [(p.dtype, p.shape, p.bits) for p in found.parameters] == [
        ("Q8_0", [2, 32], 8),
        ("F32", [32], None),
    ]


def test_shards_with_an_index(tmp_path: Path) -> None:
    write(tmp_path, {"a": np.zeros(4, np.float16)}, "model-00001-of-00002.safetensors")
    write(tmp_path, {"b": np.zeros(4, np.float16)}, "model-00002-of-00002.safetensors")
    with pytest.raises(EngineFailed, match="does not name the 2 tensors"):
        sharding.check(tmp_path, 1000)
    index = '{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "%s"}}'
    (tmp_path / "model.safetensors.index.json").write_text(index % "other")
    with pytest.raises(EngineFailed, match="does not name the 2 tensors"):
        sharding.check(tmp_path, 1000)
    (tmp_path / "model.safetensors.index.json").write_text(
        index % "model-00002-of-00002.safetensors"
    )
    sharding.check(tmp_path, 1000)


def test_a_shard_may_be_too_large_only_for_one_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharding, "HEADER_BYTES", 100)
    write(tmp_path, {"a": np.zeros(400, np.float16)})
    sharding.check(tmp_path, 500)
    write(tmp_path, {"a": np.zeros(400, np.float16), "b": np.zeros(1, np.float16)})
    with pytest.raises(EngineFailed, match="more than maxShardSize"):
        sharding.check(tmp_path, 500)


def test_weights_must_have_been_written(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="no safetensors file"):
        sharding.check(tmp_path, 500)
