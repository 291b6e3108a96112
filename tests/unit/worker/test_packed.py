import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from model import tensors
from qmodel.worker.backends import packed
from qmodel.worker.errors import SourceInvalid, UnsupportedModel

LIBRARIES = load_file(Path(__file__).parent / "data" / "packed.safetensors")
CASES = sorted({name.partition(".")[0] for name in LIBRARIES})
LAYER = "model.layers.0.mlp.up_proj"


def checkpoint(folder: Path, settings: dict[str, Any], tensors: dict[str, Any]) -> Path:
    (folder / "config.json").write_text(json.dumps({"quantization_config": settings}))
    save_file(tensors, folder / "model.safetensors")
    return folder


def settings(case: str) -> dict[str, Any]:
    if case == "awq":
        return {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}
    return {"quant_method": "gptq", "bits": int(case.split("-")[1]), "group_size": 32}


def of(case: str) -> dict[str, Any]:
    parts = {name.removeprefix(f"{case}."): values for name, values in LIBRARIES.items()
             if name.startswith(f"{case}.")}  # fmt: skip
    return {f"{LAYER}.{name}": parts[name] for name in parts if name != "expected"}


@pytest.mark.parametrize("case", CASES)
def test_weights_are_those_that_the_library_multiplies_by(case: str, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, settings(case), of(case))
    weights = dict(packed.dequantized(folder))
    assert list(weights) == [f"{LAYER}.weight"]
    # The library's product is rounded to float16, ours is not.
    expected = LIBRARIES[f"{case}.expected"].astype(np.float32)
    np.testing.assert_allclose(weights[f"{LAYER}.weight"], expected, rtol=2**-10, atol=1e-7)


def test_the_second_format_stores_zero_points_as_they_are(tmp_path: Path) -> None:
    parts = of("gptq-4")
    zeros = parts[f"{LAYER}.qzeros"]
    assert set(zeros.flatten()) == {0x77777777}
    parts[f"{LAYER}.qzeros"] = np.full_like(zeros, -0x77777778)
    second = settings("gptq-4") | {"checkpoint_format": "gptq_v2"}
    weights = dict(packed.dequantized(checkpoint(tmp_path, second, parts)))
    expected = LIBRARIES["gptq-4.expected"].astype(np.float32)
    np.testing.assert_allclose(weights[f"{LAYER}.weight"], expected, rtol=2**-10, atol=1e-7)


def test_a_layer_may_lie_in_several_files_and_the_rest_is_as_stored(tmp_path: Path) -> None:
    parts = of("awq")
    other = {f"{LAYER}.scales": parts.pop(f"{LAYER}.scales"),
             "model.norm.weight": np.array([1, 2], np.float16)}  # fmt: skip
    checkpoint(tmp_path, settings("awq"), parts)
    save_file(other, tmp_path / "second.safetensors")
    weights = dict(packed.dequantized(tmp_path))
    assert set(weights) == {f"{LAYER}.weight", "model.norm.weight"}
    assert weights["model.norm.weight"].dtype == np.float32
    assert weights["model.norm.weight"].tolist() == [1, 2]


def test_old_checkpoints_keep_their_settings_in_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "quantize_config.json").write_text('{"bits": 3, "group_size": -1}')
    assert packed.packing(tmp_path) == packed.Packing("gptq", 3, -1, zero_offset=1)


def test_other_checkpoints_are_left_to_others(tmp_path: Path) -> None:
    checkpoint(tmp_path, {"quant_method": "compressed-tensors"}, {})
    assert packed.packing(tmp_path) is None
    with pytest.raises(UnsupportedModel, match="neither an AWQ nor a GPTQ"):
        list(packed.dequantized(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quant_method": "awq", "version": "gemv"}, "awq weights in the layout gemv are not read"),
        ({"quant_method": "gptq", "checkpoint_format": "marlin"}, "layout marlin"),
        ({"quant_method": "gptq", "is_marlin_format": True}, "layout marlin"),
        ({"quant_method": "awq", "bits": 3}, "awq weights of 3 bits"),
        ({"quant_method": "gptq", "bits": 5}, "gptq weights of 5 bits"),
        ({"quant_method": "gptq", "group_size": "all"}, "groups of 'all'"),
    ],
)
def test_other_layouts_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path, {"bits": 4, "group_size": 32} | change, {})
    with pytest.raises(UnsupportedModel, match=message):
        packed.packing(folder)


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("scales", None, "lacks scales"),
        ("scales", np.zeros((2, 31), np.float16), "scales"),
        ("qzeros", np.zeros(7, np.int32), "whole rows"),
        ("g_idx", np.full(64, 2, np.int32), "groups up to 2 of 2"),
        ("g_idx", np.full(64, -1, np.int32), "groups"),
        ("g_idx", np.zeros(63, np.int32), "levels"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    part: str, values: Any, message: str, tmp_path: Path
) -> None:
    parts = of("gptq-4") | {f"{LAYER}.{part}": values}
    given = {name: values for name, values in parts.items() if values is not None}
    with pytest.raises(SourceInvalid, match=message):
        list(packed.dequantized(checkpoint(tmp_path, settings("gptq-4"), given)))


@given(st.sampled_from(packed.GPTQ_BITS), st.integers(1, 3), st.integers(1, 5), st.randoms())
def test_unpacking_undoes_packing(bits: int, blocks: int, columns: int, random: Any) -> None:
    values = [[random.randrange(1 << bits) for _ in range(columns)] for _ in range(32 * blocks)]
    streams = [sum(row[column] << (index * bits) for index, row in enumerate(values))
               for column in range(columns)]  # fmt: skip
    words = [[stream >> (32 * row) & 0xFFFFFFFF for stream in streams]
             for row in range(blocks * bits)]  # fmt: skip
    assert packed.unpack(np.array(words, np.uint32), bits).tolist() == values


def test_bfloat16_is_widened_exactly(tmp_path: Path) -> None:
    values = np.array([1.0, -0.15625, 3e38], np.float32)
    checkpoint(tmp_path, settings("awq"), {})
    tensors.write_safetensors(tmp_path / "model.safetensors", {"model.norm.weight": values})
    stored = dict(packed.dequantized(tmp_path))["model.norm.weight"]
    np.testing.assert_allclose(stored, values, rtol=2**-8)
