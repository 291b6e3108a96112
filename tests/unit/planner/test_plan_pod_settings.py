from typing import Any

import pytest

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


OTHERS = {"labelSelector": {"matchLabels": {"app": "frontend"}}}
OWN = {"labelSelector": {"matchLabels": {"qmodel.dev/model": "smollm2"}}}


def label(key: str, operator: str, *values: str) -> dict[str, Any]:
    """Return a term for pods whose label is so."""
    requirement = {"key": key, "operator": operator} | ({"values": values} if values else {})
    return {"labelSelector": {"matchExpressions": [requirement]}}


def near(*terms: dict[str, Any]) -> dict[str, Any]:
    """Return the serving block of pods that must be in the zone of others."""
    zone = {"topologyKey": "topology.kubernetes.io/zone"}
    required = [zone | term for term in terms]
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return {"podTemplate": {"affinity": affinity, "labels": {"app": "frontend"}}}


@pytest.mark.parametrize(
    "terms",
    [
        (OTHERS,),
        (OWN, OTHERS),
        (label("app", "Exists"),),
        (label("qmodel.dev/model", "NotIn", "smollm2"),),
        (label("qmodel.dev/model", "DoesNotExist"),),
        (OWN | {"namespaces": ["elsewhere"]},),
        (OWN | {"mismatchLabelKeys": ["qmodel.dev/model"]},),
        ({},),
    ],
)
def test_pods_that_must_be_near_others_are_refused_on_a_volume_of_one_node(
    terms: tuple[dict[str, Any], ...],
) -> None:
    world = World(model(serving=near(*terms)))
    world.settle()
    world.complete("inspect")
    assert world.says(ConditionType.INSPECTED) == "False AffinityDoesNotFit"
    told = world.message(ConditionType.INSPECTED)
    assert "spec.serving.podTemplate.affinity.podAffinity.required" in told
    assert "spec.storage.accessMode ReadWriteMany" in told
    assert world.started == ["inspect 1"]
    world.edit(storage={"accessMode": "ReadWriteMany"})
    assert world.says(ConditionType.FETCHED) == "Unknown Fetching"


@pytest.mark.parametrize(
    "terms",
    [
        (),
        (OWN, {"labelSelector": {}}),
        (label("qmodel.dev/model", "In", "smollm2", "other"),),
        (label("app", "NotIn", "backend") | {"namespaceSelector": {}},),
        (OWN | {"namespaces": ["team-a"], "mismatchLabelKeys": ["tenant"]},),
    ],
)
def test_terms_that_the_pods_of_the_model_meet_themselves_are_taken(
    terms: tuple[dict[str, Any], ...],
) -> None:
    world = World(model(serving=near(*terms)))
    world.run()
    assert world.status.stage == "Ready"


def test_pods_may_have_to_be_near_others_where_no_volume_keeps_them_on_one_node() -> None:
    world = World(model(serving=near(OTHERS), storage={"existingClaim": "mine"}))
    world.run()
    assert world.status.stage == "Ready"
