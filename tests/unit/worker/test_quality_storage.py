from typing import Any

import pytest

from qmodel.worker.quality.storage import Storage, of_config, of_gguf


def compressed(form: str, **weights: Any) -> dict[str, Any]:
    group = {"weights": weights, "targets": ["Linear"], "format": form}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
         Storage("nf4", 64)),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, Storage("int8", -1)),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, Storage("awq int4", 128)),
        ({"quant_method": "gptq", "bits": 3, "group_size": -1}, Storage("gptq int3", -1)),
        (compressed("pack-quantized", type="int", num_bits=4, group_size=64), Storage("int4", 64)),
        (compressed("float-quantized", type="float", num_bits=8, group_size=None),
         Storage("float8", -1)),
        (compressed("nvfp4-pack-quantized", type="float", num_bits=4, group_size=16),
         Storage("nvfp4", 16)),
        (compressed("mxfp4-pack-quantized", type="float", num_bits=4, group_size=32),
         Storage("mxfp4", 32)),
    ],
)  # fmt: skip
def test_storage_follows_the_config(config: dict[str, Any], expected: Storage) -> None:
    assert of_config(config) == expected


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"quant_method": "another"},
        {"quant_method": "compressed-tensors"},
        {"quant_method": "compressed-tensors", "config_groups": {"cache": {"weights": None}}},
    ],
)
def test_unknown_configs_have_no_storage(config: dict[str, Any]) -> None:
    assert of_config(config) is None


def test_groups_of_gguf_types_are_those_that_share_a_scale() -> None:
    assert of_gguf("Q4_K") == Storage("Q4_K", 32)
    assert of_gguf("Q6_K") == Storage("Q6_K", 16)
