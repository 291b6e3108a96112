"""Models that are quantized already: recognised by their own configuration, and unpacked right.

Shapes are those that AutoAWQ, AutoGPTQ, compressed-tensors, bitsandbytes and others write for a
linear weight of 128 outputs and 64 inputs.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from sparse_models import LLAMA, folder, write_model, write_raw_safetensors

from model import quantized, tiny
from qmodel.api.methods import Method
from qmodel.worker.backends import packed
from qmodel.worker.errors import SourceInvalid, UnsupportedModel
from qmodel.worker.inspect import inspect
from qmodel.worker.report import Inspection

BYTES = {"I32": 4, "U8": 1, "I8": 1, "F16": 2, "BF16": 2, "F32": 4, "F8_E4M3": 1, "I64": 8}
Parts = dict[str, tuple[str, list[int]]]
Case = tuple[str, Any, dict[str, Any], str, int | None, int | None]
EMBEDDING: Parts = {"model.embed_tokens.weight": ("BF16", [128, 64])}
WEIGHTS = 128 * 64 + 2 * (32 * 64 + 64 * 128)
SHAPES = {"self_attn.k_proj": (32, 64), "mlp.down_proj": (64, 128)}

GPTQ: dict[str, Any] = {"quant_method": "gptq", "bits": 4, "group_size": 32}
AWQ: dict[str, Any] = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}
PACKED: dict[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32}}},
    "ignore": ["lm_head", "re:.*gate$"],
}


def gptq(rows: int, width: int) -> Parts:
    return {
        "qweight": ("I32", [width // 8, rows]),
        "qzeros": ("I32", [width // 32, rows // 8]),
        "scales": ("F16", [width // 32, rows]),
        "g_idx": ("I32", [width]),
    }


def gptq_mixed(rows: int, width: int) -> Parts:
    """Return eight bits for the feed-forward part, in larger groups."""
    return (
        gptq(rows, width)
        if width == 64
        else {
            "qweight": ("I32", [width // 4, rows]),
            "qzeros": ("I32", [width // 64, rows // 4]),
            "scales": ("F16", [width // 64, rows]),
        }
    )


def awq(rows: int, width: int) -> Parts:
    return {
        "qweight": ("I32", [width, rows // 8]),
        "qzeros": ("I32", [width // 32, rows // 8]),
        "scales": ("F16", [width // 32, rows]),
    }


def awq_gemv(rows: int, width: int) -> Parts:
    return {
        "qweight": ("I32", [rows, width // 8]),
        "qzeros": ("I32", [rows, width // 256 or 1]),
        "scales": ("F16", [rows, width // 32]),
    }


def pack_quantized(rows: int, width: int) -> Parts:
    return {
        "weight_packed": ("I32", [rows, width // 8]),
        "weight_scale": ("BF16", [rows, width // 32]),
        "weight_zero_point": ("I32", [rows // 8, width // 32]),
        "weight_shape": ("I64", [2]),
    }


def of_mixed_bits(rows: int, width: int) -> Parts:
    """Return eight bits in larger groups for the feed-forward part, as its scales tell."""
    return (
        pack_quantized(rows, width)
        if width == 64
        else {
            "weight_packed": ("I32", [rows, width // 4]),
            "weight_scale": ("BF16", [rows, width // 64]),
            "weight_shape": ("I64", [2]),
        }
    )


def of_mixed_types(rows: int, width: int) -> Parts:
    """Return int8 with a scale a row for attention, and int4 for the feed-forward part."""
    return (
        {"weight": ("I8", [rows, width]), "weight_scale": ("BF16", [rows, 1])}
        if width == 64
        else pack_quantized(rows, width)
    )


def of_rows(rows: int, width: int) -> Parts:
    """Return a scale a row and zero points, which alone tell 8 bits from 4."""
    each = 4 if width == 64 else 8
    return {
        "weight_packed": ("I32", [rows, width // each]),
        "weight_scale": ("BF16", [rows, 1]),
        "weight_zero_point": ("I32", [rows // each, 1]),
    }


def mixed(*grids: tuple[int, int | None]) -> dict[str, Any]:
    groups = {
        f"group_{n}": {"weights": {"num_bits": bits, "group_size": size}}
        for n, (bits, size) in enumerate(grids)
    }
    return PACKED | {"config_groups": groups}


def nvfp4(rows: int, width: int) -> Parts:
    return {
        "weight_packed": ("U8", [rows, width // 2]),
        "weight_scale": ("F8_E4M3", [rows, width // 16]),
        "weight_global_scale": ("F32", [1]),
        "input_global_scale": ("F32", [1]),
    }


def modelopt(rows: int, width: int) -> Parts:
    return {
        "weight": ("U8", [rows, width // 2]),
        "weight_scale": ("F8_E4M3", [rows, width // 16]),
        "weight_scale_2": ("F32", []),
        "input_scale": ("F32", []),
    }


def nf4(rows: int, width: int) -> Parts:
    return {
        "weight": ("U8", [rows * width // 2, 1]),
        "weight.absmax": ("U8", [rows * width // 64]),
        "weight.quant_map": ("F32", [16]),
        "weight.nested_absmax": ("F32", [1]),
        "weight.nested_quant_map": ("F32", [256]),
        "weight.quant_state.bitsandbytes__nf4": ("U8", [110]),
    }


def int8(rows: int, width: int) -> Parts:
    return {"weight": ("I8", [rows, width]), "SCB": ("F32", [rows]), "weight_format": ("U8", [])}


def fp8(rows: int, width: int) -> Parts:
    return {"weight": ("F8_E4M3", [rows, width]), "weight_scale_inv": ("F32", [1, 1])}


def write(path: Path, maker: Any, recipe: Any, name: str = "model") -> Path:
    """Write a model of two layers whose linear weights are stored so."""
    tensors = dict(EMBEDDING)
    for layer in range(2):
        for module, (rows, width) in SHAPES.items():
            parts = maker(rows, width)
            tensors |= {f"model.layers.{layer}.{module}.{part}": v for part, v in parts.items()}
    write_model(path, LLAMA | ({"quantization_config": recipe} if recipe else {}))
    (path / "model.safetensors").unlink()
    header, end = {}, 0
    for key, (dtype, shape) in tensors.items():
        size = BYTES[dtype]
        for extent in shape:
            size *= extent
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    write_raw_safetensors(path / f"{name}.safetensors", json.dumps(header).encode(), end)
    return path


def looked(path: Path, method: Method = Method.NONE) -> Inspection:
    return inspect(folder(path), method)


FOUND: list[Case] = [
    ("gptq", gptq, GPTQ, "GPTQ, 4 bits, groups of 32", 4, 32),
    ("gptq, ordered", gptq, GPTQ | {"desc_act": True, "sym": False},
     "GPTQ, 4 bits, groups of 32, asymmetric, act order", 4, 32),
    ("gptq of several", gptq_mixed, GPTQ | {"dynamic": {
        "-:.*gate$": {}, "+:.*down_proj": {"bits": 8, "group_size": 64}}}, "GPTQ", None, None),
    ("auto-round of several", gptq_mixed, GPTQ | {"quant_method": "auto-round", "extra_config": {
        "a": {"bits": 16, "data_type": "fp"}, ".*down_proj.*": {"bits": 8, "group_size": 64}}},
     "auto-round", None, None),
    ("auto-round as awq", awq, AWQ | {"quant_method": "auto-round",
     "packing_format": "auto_round:auto_awq"}, "auto-round, 4 bits, groups of 32", 4, 32),
    ("gptq, all told", gptq, GPTQ | {"dynamic": {"+:.*": {"bits": 4}, "-:.*mtp.*": False}},
     "GPTQ, 4 bits, groups of 32", 4, 32),
    ("awq", awq, AWQ, "AWQ, 4 bits, groups of 32", 4, 32),
    ("awq by outputs", awq_gemv, AWQ | {"version": "GEMV"},
     "AWQ, 4 bits, groups of 32, gemv", 4, 32),
    ("compressed-tensors", pack_quantized, PACKED,
     "compressed-tensors, 4 bits, groups of 32, pack-quantized", 4, 32),
    ("several bits", of_mixed_bits, mixed((4, 32), (8, 64)),
     "compressed-tensors, pack-quantized", None, None),
    ("several types", of_mixed_types, PACKED | {"format": "mixed-precision", "config_groups": {
        "group_0": {"format": "pack-quantized", "weights": {"num_bits": 4, "group_size": 32}},
        "group_1": {"format": "int-quantized", "weights": {"num_bits": 8}}}},
     "compressed-tensors, mixed-precision", None, None),
    ("several bits of rows", of_rows, mixed((4, None), (8, -1)),
     "compressed-tensors, pack-quantized", None, None),
    ("nvfp4", nvfp4, PACKED | {"format": "nvfp4-pack-quantized", "config_groups": {
        "group_0": {"weights": {"num_bits": 4, "group_size": 16}}}},
     "compressed-tensors, 4 bits, groups of 16, nvfp4-pack-quantized", 4, 16),
    ("modelopt", modelopt, {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16},
     "ModelOpt NVFP4, 4 bits, groups of 16", 4, 16),
    ("modelopt, mixed", modelopt, {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"},
     "ModelOpt MIXED_PRECISION", None, None),
    ("modelopt, weights only", modelopt, {"quant_method": "modelopt", "quant_algo": "W4A16_NVFP4",
     "group_size": 16}, "ModelOpt W4A16_NVFP4, 4 bits, groups of 16", 4, 16),
    ("mxfp4 of quark", modelopt, {"quant_method": "quark", "exclude": ["lm_head", "*gate"]},
     "quark", None, None),
    ("nf4", nf4, {"quant_method": "bitsandbytes", "load_in_4bit": True,
     "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
     "bitsandbytes NF4, 4 bits, double quantization", 4, None),
    ("int8", int8, {"quant_method": "bitsandbytes", "load_in_8bit": True},
     "bitsandbytes INT8, 8 bits", 8, None),
    ("fp8", fp8, {"quant_method": "fp8", "weight_block_size": [128, 128]},
     "FP8, 8 bits, blocks of 128 x 128", 8, None),
    ("something else", fp8, {"quant_method": "quark"}, "quark", None, None),
]  # fmt: skip


@pytest.mark.parametrize("case", FOUND, ids=[row[0] for row in FOUND])
def test_recognised_and_counted_unpacked(tmp_path: Path, case: Case) -> None:
    name, maker, recipe, told, bits, group = case
    found = looked(write(tmp_path / name, maker, recipe))
    assert found.quantization
    assert found.quantization.description == told
    assert (found.quantization.bits, found.quantization.group_size) == (bits, group)
    assert found.parameters == WEIGHTS
    assert found.linear_widths == ([] if name == "nf4" else [64, 128])
    assert (found.kv.full_layers, found.kv.kv_heads) == (2, 2)


TOLD: list[tuple[Any, Any, dict[str, Any]]] = [
    (gptq, GPTQ, {"symmetric": True}),
    (gptq, GPTQ | {"desc_act": True, "sym": False}, {"symmetric": False, "actOrder": True}),
    (awq, AWQ, {"packing": "gemm"}),
    (pack_quantized, PACKED, {"packing": "pack-quantized"}),
    (modelopt, {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16},
     {"packing": "NVFP4"}),
]  # fmt: skip


@pytest.mark.parametrize(("maker", "recipe", "told"), TOLD)
def test_what_programs_need_to_know_is_no_sentence(
    tmp_path: Path, maker: Any, recipe: Any, told: dict[str, Any]
) -> None:
    found = looked(write(tmp_path / "model", maker, recipe)).quantization
    assert found is not None
    names = {"symmetric", "actOrder", "packing"}
    wire = {name: value for name, value in found.to_wire().items() if name in names}
    assert wire == {"actOrder": False} | told


@pytest.mark.parametrize("method", [m for m in Method if m is not Method.NONE])
def test_it_is_not_quantized_again(tmp_path: Path, method: Method) -> None:
    with pytest.raises(UnsupportedModel) as refused:
        looked(write(tmp_path, awq, AWQ), method)
    for word in ("AWQ, 4 bits, groups of 32", f"method {method.value}", "quantization.method None"):
        assert word in str(refused.value)


def test_configurations_of_their_own_files(tmp_path: Path) -> None:
    auto_gptq = write(tmp_path / "gptq", gptq, None, "gptq_model-4bit-32g")
    (auto_gptq / "quantize_config.json").write_text(json.dumps({"bits": 4, "group_size": 32}))
    old_awq = write(tmp_path / "awq", awq, None)
    recipe = {"w_bit": 4, "q_group_size": 32, "zero_point": True, "version": "GEMM"}
    (old_awq / "quant_config.json").write_text(json.dumps(recipe))
    other = write(tmp_path / "modelopt", modelopt, None)
    recipe = {"quantization": {"quant_algo": "NVFP4", "group_size": 16}}
    (other / "hf_quant_config.json").write_text(json.dumps(recipe))
    found = [looked(path) for path in (auto_gptq, old_awq, other)]
    assert [f.quantization.format for f in found if f.quantization] == ["gptq", "awq", "modelopt"]
    assert {f.parameters for f in found} == {WEIGHTS}


@pytest.mark.parametrize(
    ("recipe", "maker", "told"),
    [
        (GPTQ | {"bits": 8}, gptq, "2 x 32 for rows of 32"),
        (GPTQ | {"group_size": 64}, gptq, "says groups of 64, but model.layers"),
        (None, gptq, "is packed, but no configuration says how"),
        (None, pack_quantized, "weight_packed is packed, but no configuration says how"),
        (None, int8, "weight is I8, but no configuration says how .* BF16, F16, F32, F64"),
        (None, fp8, "weight is F8_E4M3, but no configuration says how"),
        (None, modelopt, "weight is U8, but no configuration says how"),
        (
            None,
            lambda rows, width: {
                "weight": ("BF16", [rows, width]),
                "weight_scale": ("F32", [rows]),
            },
            "weight_scale lies beside quantized weights, but no configuration says how",
        ),
        (mixed((4, 16), (8, 64)), pack_quantized, "says 4 bits in groups of 16 or 8 bits in"),
        (mixed(*((4 * (n % 2 + 1), n) for n in range(1, 40))), pack_quantized, "in 39 ways"),
        (
            GPTQ,
            lambda rows, width: {"qweight": ("F16", [rows, width])},
            "no matrix of 32-bit words",
        ),
    ],
)
def test_a_configuration_that_the_tensors_contradict(
    tmp_path: Path, recipe: Any, maker: Any, told: str
) -> None:
    with pytest.raises(SourceInvalid, match=told):
        looked(write(tmp_path, maker, recipe))


def test_bits_that_nothing_tells_are_not_guessed(tmp_path: Path) -> None:
    def without_zeros(rows: int, width: int) -> Parts:
        parts = pack_quantized(rows, width)
        return {name: parts[name] for name in ("weight_packed", "weight_scale")}

    path = write(tmp_path, without_zeros, mixed((4, 32), (8, 16)))
    with pytest.raises(UnsupportedModel, match="may have 4 or 8 bits, and nothing beside it"):
        looked(path)


def test_the_experts_of_a_mixture(tmp_path: Path) -> None:
    config = LLAMA | {"architectures": ["GptOssForCausalLM"], "num_local_experts": 4,
                      "quantization_config": {"quant_method": "mxfp4"}}  # fmt: skip
    path = write_model(tmp_path, config)
    header: dict[str, Any] = {}
    end = 0
    experts = {"gate_up_proj": [4, 192, 2, 16], "down_proj": [4, 64, 3, 16]}
    parts = {f"{name}_blocks": shape for name, shape in experts.items()}
    parts |= {f"{name}_scales": shape[:3] for name, shape in experts.items()}
    shapes = {
        f"model.layers.{layer}.mlp.experts.{n}": s for layer in (0, 1) for n, s in parts.items()
    }
    for name, shape in shapes.items():
        size = 1
        for extent in shape:
            size *= extent
        header[name] = {"dtype": "U8", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    write_raw_safetensors(path / "model.safetensors", json.dumps(header).encode(), end)
    found = looked(path)
    assert found.experts == 4
    assert found.parameters == 2 * 4 * (192 * 64 + 64 * 96)
    assert found.linear_widths == [64, 96]


@pytest.mark.parametrize("write_quantized", [quantized.write_gptq, quantized.write_awq])
def test_the_checkpoints_of_the_test_hub(tmp_path: Path, write_quantized: Any) -> None:
    shape = tiny.Shape(vocabulary=64)
    path = write_quantized(tmp_path, shape)
    (path / "tokenizer.json").write_text("{}")
    plain = tiny.weights(shape)
    assert looked(path).parameters == sum(values.size for values in plain.values())
    for name, values in packed.dequantized(path):
        largest = abs(plain[name]).max()
        assert abs(values - plain[name]).max() < largest / 5


def test_masks_and_positions_are_no_quantized_weights(tmp_path: Path) -> None:
    def with_mask(rows: int, width: int) -> Parts:
        return {"weight": ("BF16", [rows, width]), "bias": ("U8", [1, 1, 8, 8]),
                "position_ids": ("I64", [1, 8])}  # fmt: skip

    assert looked(write(tmp_path, with_mask, None)).quantization is None
