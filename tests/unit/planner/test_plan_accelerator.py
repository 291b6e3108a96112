"""Where Auto runs a model, and what edits, nodes and releases make of it.

By estimate, SmolLM2 with one sequence takes 889 MiB of a GPU as Q4_K_M and 1038 as F16; with eight
sequences 1521 as Q4_K_M.
"""

from dataclasses import replace
from typing import Any

import pytest

from qmodel.api.conditions import ConditionType
from qmodel.api.serving import AcceleratorType
from qmodel.api.status import AcceleratorStatus
from qmodel.planner.observed import Node
from qmodel.sizing import llamacpp
from unit.planner.values import model
from unit.planner.world import World
from unit.sizing.values import INSPECTION, MIB, footprint

PRESENT, PRODUCT = "nvidia.com/gpu.present", "nvidia.com/gpu.product"
F16 = {"method": "GGUF", "gguf": {"type": "F16"}}
Q4 = {"method": "GGUF", "gguf": {"type": "Q4_K_M"}}
EIGHT = {"concurrency": 8}
ALL = ["inspect 1", "fetch 1", "quantize 1", "measure 1"]


def gpu(product: str, memory_mib: int) -> Node:
    """Return a node as GPU feature discovery labels it."""
    labels = {PRESENT: "true", PRODUCT: product, "nvidia.com/gpu.memory": str(memory_mib)}
    return Node(product.lower(), labels, {"nvidia.com/gpu": "1"})


def served(*nodes: Node, device_mib: int = 0, **overrides: Any) -> World:
    """Return a world whose model serves, after it was measured with so much of a GPU."""
    world = World(model(**overrides), nodes)
    world.settle()
    for step in ("inspect", "fetch", "quantize"):
        world.complete(step)
    if device_mib:
        world.complete("measure", footprint=footprint(device_bytes=device_mib * MIB))
    world.run()
    assert world.status.stage == "Ready"
    assert world.started == ALL
    return world


def chosen(world: World) -> AcceleratorStatus:
    found = world.status.accelerator
    assert found is not None
    return found


def runs_on(world: World) -> AcceleratorType:
    """Return what the servers run on."""
    assert world.status.rollout is not None
    return world.status.rollout.accelerator.type


def test_no_pod_goes_where_the_gpu_is_too_small() -> None:
    world = served(gpu("T4", 800), gpu("A100", 2000))
    near = {PRESENT: "true", PRODUCT: "A100"}
    assert [w.node_selector for w in world.job_wishes.values()] == [{}, near, near, near]
    assert world.status.rollout is not None
    assert world.status.rollout.pod_template.node_selector == near
    assert "2000 MiB" in chosen(world).reason


def test_a_recipe_that_fits_the_gpu_leaves_the_cpu() -> None:
    world = served(gpu("T4", 1000), quantization=F16)
    assert runs_on(world) is AcceleratorType.CPU
    world.edit(quantization=Q4)
    assert chosen(world).type is AcceleratorType.GPU
    assert runs_on(world) is AcceleratorType.CPU
    world.run()
    assert runs_on(world) is AcceleratorType.GPU


def test_a_recipe_that_the_gpu_does_not_hold_goes_to_the_cpu() -> None:
    world = served(gpu("T4", 1000), device_mib=700)
    world.edit(quantization=F16)
    world.run()
    assert runs_on(world) is AcceleratorType.CPU
    assert world.status.stage == "Ready"


def test_another_recipe_stays_on_a_gpu_that_holds_it() -> None:
    world = served(gpu("A100", 2000), device_mib=700)
    world.nodes = (gpu("T4", 1000),)
    world.edit(quantization=F16)
    assert chosen(world).type is AcceleratorType.GPU
    assert chosen(world).memory_bytes == 2000 * MIB


def test_a_load_that_the_gpu_does_not_hold_moves_to_a_larger_one() -> None:
    world = served(gpu("L4", 1000), gpu("A100", 2000), device_mib=700)
    assert chosen(world).node_selector == {PRESENT: "true"}
    world.edit(serving=EIGHT)
    world.run()
    assert chosen(world).node_selector == {PRESENT: "true", PRODUCT: "A100"}
    assert world.started == ALL
    assert world.status.stage == "Ready"


@pytest.mark.parametrize("kind", ["Auto", "GPU"])
def test_a_load_that_no_gpu_holds_is_refused_and_serving_goes_on(kind: str) -> None:
    world = served(gpu("L4", 1000), device_mib=700, accelerator={"type": kind})
    before = world.deployment_wishes.copy()
    world.edit(serving=EIGHT)
    assert world.says(ConditionType.SIZED) == "False GPUTooSmall"
    told = world.message(ConditionType.SIZED)
    assert "8 x 4096 tokens take 13" in told
    assert "1 x nvidia.com/gpu have 1000Mi: lower spec.serving.contextLength" in told
    assert world.deployment_wishes == before
    world.edit(serving={})
    assert world.status.stage == "Ready"
    assert world.deployment_wishes == before
    assert world.started == ALL


@pytest.mark.parametrize(
    ("serving", "memory_mib", "where"),
    [
        ({}, 1500, AcceleratorType.GPU),
        ({"tensorParallelSize": 1}, 1500, AcceleratorType.GPU),
        ({}, 1200, AcceleratorType.GPU),
        ({"tensorParallelSize": 1}, 1200, AcceleratorType.CPU),
    ],
)
def test_gpus_that_stay_idle_hold_nothing(
    serving: dict[str, Any], memory_mib: int, where: AcceleratorType
) -> None:
    """By estimate, the model takes 1283 MiB of one GPU, or 1159 of each of two."""
    labels = {PRESENT: "true", "nvidia.com/gpu.memory": str(memory_mib)}
    node = Node("two", labels, {"nvidia.com/gpu": "2"})
    asked = {"type": "Auto", "count": 2}
    source = INSPECTION.model_copy(update={"kv": INSPECTION.kv.model_copy(update={"kv_heads": 2})})
    world = World(
        model(quantization={"method": "FP8"}, serving=serving, accelerator=asked), (node,)
    )
    world.settle()
    world.complete("inspect", inspection=source)
    assert chosen(world).type is where, chosen(world).reason


def test_what_was_measured_to_fit_is_not_moved_by_an_estimate() -> None:
    world = served(gpu("L4", 950), device_mib=700)
    world.edit(serving={"contextLength": 8192})
    world.serve()
    assert runs_on(world) is AcceleratorType.GPU
    assert world.status.sizing is not None
    assert 700 * MIB < world.status.sizing.device_bytes < 950 * MIB
    assert world.status.stage == "Ready"


def test_what_was_measured_on_a_gpu_fits_it_whatever_a_label_says() -> None:
    world = served(gpu("L4", 500), device_mib=700, accelerator={"type": "GPU"})
    world.edit(serving={"contextLength": 2048})
    world.serve()
    assert world.status.stage == "Ready"


def test_less_than_a_gpu_was_too_small_for_leaves_the_cpu() -> None:
    world = served(gpu("T4", 1000), serving=EIGHT)
    assert runs_on(world) is AcceleratorType.CPU
    world.edit(serving={})
    assert chosen(world).type is AcceleratorType.GPU
    world.run()
    assert runs_on(world) is AcceleratorType.GPU


def test_a_gpu_that_came_later_is_taken_by_the_next_recipe_only() -> None:
    world = served()
    world.nodes = (gpu("A100", 2000),)
    world.edit(serving={"concurrency": 2})
    assert chosen(world).type is AcceleratorType.CPU
    world.edit(quantization=F16)
    assert chosen(world).type is AcceleratorType.GPU


@pytest.mark.parametrize(("recipe", "own_bytes"), [(Q4, 2000 * MIB), (F16, 0)])
def test_a_release_that_estimates_otherwise_moves_nothing(
    recipe: dict[str, Any], own_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = served(gpu("T4", 1000), quantization=recipe)
    before = world.status
    monkeypatch.setattr(llamacpp, "GPU_BYTES", own_bytes)
    world.wake()
    assert world.status == before


def test_a_choice_of_an_older_release_stays_until_the_recipe_changes() -> None:
    world = served()
    older = chosen(world).updated({"revision": None, "load_key": None})
    status = world.status.updated({"accelerator": older})
    world.model = world.model.model_copy(update={"status": status})
    world.nodes = (gpu("A100", 2000),)
    world.edit(serving={"concurrency": 2})
    assert chosen(world) == older
    world.edit(quantization=F16)
    assert chosen(world).type is AcceleratorType.GPU


def only(product: str, kind: str = "GPU") -> dict[str, Any]:
    """Return an accelerator of the nodes with that GPU."""
    return {"type": kind, "nodeSelector": {PRODUCT: product}}


def served_on(world: World) -> str:
    """Return the GPU that the servers are kept to."""
    assert world.status.rollout is not None
    return world.status.rollout.pod_template.node_selector[PRODUCT]


@pytest.mark.parametrize("kind", ["Auto", "GPU"])
def test_gpus_of_other_nodes_are_measured_and_serving_goes_on_meanwhile(kind: str) -> None:
    nodes = gpu("A100", 2000), gpu("L4", 1000)
    world = served(*nodes, device_mib=700, accelerator=only("A100", kind))
    before = world.deployment_wishes.copy()
    world.edit(accelerator=only("L4", kind))
    assert world.wish("measure").node_selector[PRODUCT] == "L4"
    assert world.says(ConditionType.READY) == "Unknown Measuring"
    assert world.deployment_wishes == before
    assert served_on(world) == "A100"
    world.run()
    assert world.started == [*ALL, "measure 1"]
    assert served_on(world) == "L4"
    assert world.status.stage == "Ready"


def test_what_is_measured_on_the_old_nodes_is_not_taken_for_the_new_ones() -> None:
    world = World(model(accelerator=only("A100")), (gpu("A100", 2000), gpu("L4", 1000)))
    world.settle()
    for step in ("inspect", "fetch", "quantize"):
        world.complete(step)
    world.edit(accelerator=only("L4"))
    assert world.started == [*ALL, "measure 1"]
    assert world.wish("measure").node_selector[PRODUCT] == "L4"


def test_nodes_edited_back_are_not_measured_again() -> None:
    nodes = gpu("A100", 2000), gpu("L4", 1000)
    world = served(*nodes, device_mib=700, accelerator=only("A100"))
    world.edit(accelerator=only("L4"))
    world.edit(accelerator=only("A100"))
    assert world.status.stage == "Ready"
    assert served_on(world) == "A100"
    assert not [job for job in world.jobs.values() if job.state == "Active"]


def test_gpus_that_cannot_run_the_format_are_refused_and_serving_goes_on() -> None:
    old = gpu("P100", 2000)
    old = replace(old, labels={**old.labels, "nvidia.com/gpu.compute.major": "6"})
    fp8 = {"method": "FP8"}
    nodes = gpu("A100", 2000), old
    world = served(*nodes, device_mib=700, quantization=fp8, accelerator=only("A100"))
    before = world.deployment_wishes.copy()
    world.edit(accelerator=only("P100"))
    assert world.says(ConditionType.INSPECTED) == "False AcceleratorCannotRun"
    assert world.deployment_wishes == before
    assert world.started == ALL


def test_nodes_that_come_and_go_and_tolerations_measure_nothing_anew() -> None:
    world = served(gpu("A100", 2000), device_mib=700, accelerator=only("A100"))
    world.nodes = ()
    world.wake()
    world.edit(accelerator={**only("A100"), "tolerations": [{"key": "gpu", "operator": "Exists"}]})
    world.nodes = (replace(gpu("A100", 2000), labels={PRODUCT: "A100"}),)
    world.wake()
    world.serve()
    assert world.status.stage == "Ready"
    assert world.started == ALL


def test_a_measurement_of_an_older_release_counts_for_the_nodes_that_spec_names() -> None:
    world = served(gpu("A100", 2000), device_mib=700, accelerator=only("A100"))
    footprint = world.status.footprint
    assert footprint is not None
    assert footprint.node_selector == {PRODUCT: "A100"}
    status = world.status.updated({"footprint": footprint.updated({"node_selector": None})})
    world.model = world.model.model_copy(update={"status": status})
    world.wake()
    assert world.status == status
    assert world.started == ALL
