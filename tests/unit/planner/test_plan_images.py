"""Installations that name only some of the images."""

from dataclasses import replace

import pytest

from qmodel.api.conditions import ConditionType
from qmodel.api.serving import AcceleratorType
from qmodel.planner.observed import Node
from unit.planner.values import IMAGES, INSTALLATION, model
from unit.planner.world import World

GPU_NODE = Node(
    "gpu",
    {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.memory": "80000"},
    {"nvidia.com/gpu": "1"},
)
AWQ = {"method": "AWQ"}


def without(*names: str, **overrides: object) -> World:
    """Return a world whose installation lacks these images, after its model was inspected."""
    world = World(model(**overrides), (GPU_NODE,))
    images = replace(IMAGES, **dict.fromkeys(names, ""))
    world.installation = replace(INSTALLATION, images=images)
    world.settle()
    world.complete("inspect")
    return world


def test_auto_passes_gpus_over_that_no_image_is_for() -> None:
    world = without("llamacpp_cuda", "vllm_cuda")
    chosen = world.status.accelerator
    assert chosen is not None
    assert chosen.type is AcceleratorType.CPU
    assert "images.llamacppCuda" in chosen.reason
    world.run()
    assert world.status.stage == "Ready"


@pytest.mark.parametrize(
    ("missing", "value", "overrides"),
    [
        ("llamacpp_worker", "images.llamacppWorker", {}),
        ("quantizer", "images.quantizer", {"quantization": AWQ}),
        ("autoawq", "images.autoawq", {"quantization": AWQ | {"backend": "AutoAWQ"}}),
        ("vllm", "images.vllm", {"quantization": AWQ, "accelerator": {"type": "CPU"}}),
        ("vllm_cuda", "images.vllmCuda", {"quantization": AWQ, "accelerator": {"type": "GPU"}}),
    ],
)
def test_a_missing_image_is_named_before_anything_is_fetched(
    missing: str, value: str, overrides: dict[str, object]
) -> None:
    world = without(missing, **overrides)
    assert world.says(ConditionType.INSPECTED) == "False ImageNotConfigured"
    message = world.message(ConditionType.INSPECTED)
    assert f"{value}," in message
    assert ("accelerator.type to CPU" in message) is (missing == "vllm_cuda")
    assert [each.split()[0] for each in world.started] == ["inspect"]


def test_an_upgrade_that_names_it_goes_on() -> None:
    world = without("llamacpp_worker")
    world.installation = INSTALLATION
    world.wake()
    assert world.says(ConditionType.INSPECTED) == "True Resolved"


def test_what_serves_is_not_stopped_by_an_installation_that_names_less() -> None:
    world = World(model())
    world.run()
    world.installation = replace(INSTALLATION, images=replace(IMAGES, llamacpp=""))
    world.wake()
    assert world.status.stage == "Ready"
