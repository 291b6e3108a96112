"""What vLLM's attention on a CPU is refused for."""

from typing import Any

import pytest

from qmodel.api.conditions import ConditionType
from qmodel.api.serving import KVCacheType
from qmodel.planner.cpu_attention import problem
from qmodel.planner.hardware import Hardware
from qmodel.worker.task import KVLayout
from unit.planner.values import model
from unit.planner.world import World
from unit.sizing.values import INSPECTION

CPU = Hardware(gpus=0)


def heads(width: int, **more: Any) -> KVLayout:
    return KVLayout(
        **{"full_layers": 2, "kv_heads": 3, "key_head_dim": width, "value_head_dim": width} | more
    )


def test_a_width_without_a_kernel_is_named_with_those_that_have_one() -> None:
    reason, message = problem(heads(120), None, CPU) or ("", "")
    assert reason == "EngineCannotLoad"
    assert "120 wide" in message
    assert "112, 128" in message
    assert "GPU, or method GGUF" in message


@pytest.mark.parametrize("width", [64, 80, 256])
def test_usual_widths_are_computed(width: int) -> None:
    assert problem(heads(width), None, CPU) is None
    assert problem(heads(width), KVCacheType.BF16, CPU) is None


def test_fp8_needs_widths_of_whole_registers() -> None:
    reason, message = problem(heads(80), KVCacheType.FP8, CPU) or ("", "")
    assert reason == "CacheTypeDoesNotFit"
    assert "divisible by 32" in message
    assert problem(heads(96), KVCacheType.FP8, CPU) is None


@pytest.mark.parametrize("device", [Hardware(), Hardware(gpus=1)])
def test_other_hardware_is_not_judged(device: Hardware) -> None:
    assert problem(heads(120), KVCacheType.FP8, device) is None


def test_the_heads_of_windows_are_judged_too() -> None:
    own = {"sliding_layers": 2, "window": 8, "sliding_key_head_dim": 120}
    assert "120 wide" in (problem(heads(64, **own), None, CPU) or ("", ""))[1]
    assert problem(heads(512, **own | {"sliding_key_head_dim": 256}), None, CPU) is None


def test_a_latent_has_kernels_of_its_own() -> None:
    assert problem(heads(576, value_head_dim=0), None, CPU) is None


def test_it_is_told_before_anything_is_fetched() -> None:
    odd = INSPECTION.model_copy(update={"kv": heads(120)})
    world = World(model(quantization={"method": "FP8"}))
    world.settle()
    world.complete("inspect", inspection=odd)
    world.settle()
    assert world.says(ConditionType.INSPECTED) == "False EngineCannotLoad"
    assert world.started == ["inspect 1"]
