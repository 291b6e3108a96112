"""A source that is quantized already says so where the engine looks."""

import json
from pathlib import Path
from typing import Any

import pytest

from model import quantized, tiny
from qmodel.worker import adopted_config

AWQ = {"w_bit": 4, "q_group_size": 64, "zero_point": True, "version": "GEMM"}
SHAPE = tiny.Shape(layers=1, hidden=64, intermediate=64, heads=1, kv_heads=1, vocabulary=32)


def config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("quantize_config.json", {"bits": 4, "sym": True},
         {"quant_method": "gptq", "bits": 4, "sym": True}),
        ("quant_config.json", AWQ, {"quant_method": "awq", "bits": 4, "group_size": 64,
                                    "zero_point": True, "version": "gemm"}),
        ("generation_config.json", {"bits": 4}, None),
    ],
)  # fmt: skip
def test_settings_of_a_file_of_their_own_are_put_into_config_json(
    tmp_path: Path, name: str, settings: Any, expected: Any
) -> None:
    folder, source = tiny.write(tmp_path / "artifact", SHAPE), tmp_path / "source.json"
    source.hardlink_to(folder / "config.json")
    before = source.read_bytes()
    (folder / name).write_text(json.dumps(settings))
    adopted_config.complete(folder)
    assert config(folder).get("quantization_config") == expected
    assert source.read_bytes() == before


def test_what_config_json_says_is_left(tmp_path: Path) -> None:
    folder = quantized.write_awq(tmp_path, SHAPE)
    before = config(folder)
    (folder / "quantize_config.json").write_text('{"bits": 3}')
    adopted_config.complete(folder)
    assert config(folder) == before
