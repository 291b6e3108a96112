from qmodel.api.conditions import ConditionType
from unit.planner.values import model
from unit.planner.world import World

TEMPLATE = {
    "affinity": {"nodeAffinity": {}},
    "runtimeClassName": "nvidia",
    "imagePullSecrets": [{"name": "registry"}],
    "labels": {"team": "a"},
}


def test_each_job_carries_what_its_pod_needs_of_the_template() -> None:
    world = World(model(serving={"podTemplate": TEMPLATE}))
    world.run()
    carried = {w.step: w.pod_template.to_wire() for w in world.job_wishes.values()}
    pull, place = {"imagePullSecrets": [{"name": "registry"}]}, {"affinity": {"nodeAffinity": {}}}
    assert carried == {
        "inspect": pull,
        "fetch": pull | place,
        "quantize": pull | place,
        "measure": pull | place | {"runtimeClassName": "nvidia"},
    }


def test_a_job_that_quantizes_on_a_gpu_runs_in_the_runtime_that_shows_it() -> None:
    wanted = {"type": "GPU"}
    spec = {"podTemplate": TEMPLATE | {"priorityClassName": "high"}}
    world = World(model(quantization={"method": "AWQ"}, accelerator=wanted, serving=spec))
    world.run()
    carried = {w.step: w.pod_template for w in world.job_wishes.values()}
    runtimes = {step: each.runtime_class_name for step, each in carried.items() if each}
    assert runtimes == {"inspect": None, "fetch": None, "quantize": "nvidia", "measure": "nvidia"}
    priorities = {step for step, each in carried.items() if each and each.priority_class_name}
    assert priorities == {"measure"}


def test_a_type_without_a_fallback_is_refused_before_anything_is_fetched() -> None:
    world = World(model(quantization={"method": "GGUF", "gguf": {"type": "Q1_0"}}))
    world.settle()
    world.complete("inspect")
    assert world.says(ConditionType.INSPECTED) == "False TypeDoesNotFit"
    assert "divisible by 128" in world.message(ConditionType.INSPECTED)
    assert "576" in world.message(ConditionType.INSPECTED)
    assert [each.split()[0] for each in world.started] == ["inspect"]


def test_a_larger_volume_is_a_reason_to_try_again() -> None:
    world = World(model(storage={"size": "1Gi"}))
    world.settle()
    world.complete("inspect")
    world.fail("fetch", "DiskFull")
    assert world.says(ConditionType.FETCHED).startswith("False")
    world.edit(storage={"size": "2Gi"})
    assert world.says(ConditionType.FETCHED) == "Unknown Fetching"


def test_a_refused_change_of_the_volume_is_shown() -> None:
    world = World(model())
    world.run()
    world.refused["PersistentVolumeClaim"] = "Forbidden"
    world.edit(storage={"size": "900Gi"})
    assert world.says(ConditionType.FETCHED) == "Unknown Forbidden"
    assert world.status.rollout is not None
