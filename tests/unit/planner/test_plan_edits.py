from typing import Any

import pytest

from qmodel.api.conditions import ConditionType
from qmodel.api.quantities import quantity_mib
from qmodel.planner.wishes import WantDeployment
from qmodel.worker.task import QuantizeTask
from unit.planner.values import BAD_EVALUATION, EVALUATION, failure, model
from unit.planner.world import World

Q8 = {"method": "GGUF", "gguf": {"type": "Q8_0"}}
ALL = ["inspect 1", "fetch 1", "quantize 1", "measure 1"]


@pytest.fixture
def ready() -> World:
    """Return a world whose model serves."""
    world = World(model())
    world.run()
    return world


def deployed(world: World) -> dict[str, WantDeployment]:
    """Return the servers that exist, by revision."""
    return {d.revision: world.deployment_wishes[d.name] for d in world.deployments.values()}


def test_an_edited_recipe_is_built_beside_what_serves(ready: World) -> None:
    old = ready.status.revision
    ready.edit(quantization=Q8)
    new = ready.status.revision
    assert new != old
    assert ready.status.serving_revision == old
    for step in ("quantize", "measure"):
        assert list(deployed(ready)) == [old]
        ready.complete(step)
    assert ready.started == [*ALL, "quantize 1", "measure 1"]
    assert set(deployed(ready)) == {old, new}
    assert ready.service is not None
    assert ready.service.revision == old
    ready.serve(new)
    assert list(deployed(ready)) == [new]
    assert ready.service.revision == new
    assert ready.status.stage == "Ready"


def test_the_old_servers_stay_until_requests_reach_the_new_ones(ready: World) -> None:
    old = ready.status.revision
    ready.edit(quantization=Q8)
    ready.complete("quantize")
    ready.complete("measure")
    ready.is_routing_late = True
    new = ready.status.revision
    ready.serve(new)
    assert set(deployed(ready)) == {old, new}
    assert ready.says(ConditionType.READY) == "Unknown Deploying"
    ready.is_routing_late = False
    ready.wake()
    assert list(deployed(ready)) == [new]
    assert ready.status.stage == "Ready"


def test_a_service_that_cannot_move_keeps_the_old_servers(ready: World) -> None:
    old = ready.status.revision
    ready.edit(quantization=Q8)
    ready.complete("quantize")
    ready.complete("measure")
    ready.refused = {"Service": "Forbidden"}
    ready.serve(ready.status.revision)
    assert old in deployed(ready)
    assert ready.says(ConditionType.AVAILABLE) == "Unknown Forbidden"
    ready.refused = {}
    ready.wake()
    assert old not in deployed(ready)
    assert ready.status.stage == "Ready"


@pytest.mark.parametrize("step", ["quantize", "measure"])
def test_a_new_revision_that_fails_leaves_the_old_one_serving(ready: World, step: str) -> None:
    old = ready.status.revision
    ready.edit(quantization=Q8)
    if step == "measure":
        ready.complete("quantize")
    ready.fail(step, report=failure(step, "UnsupportedModel"))
    assert ready.status.stage == "Failed"
    assert ready.says(ConditionType.READY) == "False UnsupportedModel"
    assert ready.status.serving_revision == old
    assert list(deployed(ready)) == [old]


def test_a_new_revision_below_the_gate_leaves_the_old_one_serving(ready: World) -> None:
    old = ready.status.revision
    ready.edit(quantization=Q8)
    ready.complete("quantize", evaluation=BAD_EVALUATION)
    assert ready.says(ConditionType.EVALUATED) == "False BelowGate"
    assert list(deployed(ready)) == [old]
    assert ready.started == [*ALL, "quantize 1"]


def test_servers_that_never_served_go_when_a_third_revision_is_wanted(ready: World) -> None:
    old = ready.status.revision
    ready.edit(quantization=Q8)
    ready.complete("quantize")
    ready.complete("measure")
    ready.edit(quantization={"method": "GGUF", "gguf": {"type": "Q6_K"}})
    assert list(deployed(ready)) == [old]
    ready.run()
    assert list(deployed(ready)) == [ready.status.revision]


def test_an_edit_back_drops_what_was_half_built(ready: World) -> None:
    old, spec = ready.status.revision, ready.model.spec.to_wire()
    ready.edit(quantization=Q8)
    ready.complete("quantize")
    ready.complete("measure")
    ready.edit(**spec)
    ready.run()
    assert list(deployed(ready)) == [old]
    assert ready.status.stage == "Ready"


@pytest.mark.parametrize(
    "serving",
    [{"replicas": 3}, {"contextLength": 8192}, {"contextLength": 512}, {"concurrency": 4}],
)
def test_editing_only_serving_runs_no_job(ready: World, serving: dict[str, Any]) -> None:
    before = ready.status
    ready.edit(serving=serving)
    ready.serve()
    assert ready.started == ALL
    assert ready.status.revision == before.revision
    assert ready.status.stage == "Ready"
    (want,) = deployed(ready).values()
    assert want.replicas == serving.get("replicas", 1)
    peak_bytes = want.rollout.sizing.predicted_peak_bytes
    assert ready.status.footprint_summary == quantity_mib(peak_bytes)
    assert before.sizing is not None
    grows = {"contextLength": 8192}, {"concurrency": 4}
    difference = want.rollout.sizing.memory_bytes - before.sizing.memory_bytes
    assert (difference > 0) == (serving in grows)
    assert (difference < 0) == (serving == {"contextLength": 512})


def test_a_context_beyond_the_model_is_refused_and_serving_goes_on(ready: World) -> None:
    ready.edit(serving={"contextLength": 16_384})
    assert ready.says(ConditionType.INSPECTED) == "False ContextTooLong"
    assert len(ready.deployments) == 1
    ready.edit(serving={})
    assert ready.status.stage == "Ready"
    assert ready.started == ALL


def test_another_cache_type_is_measured_but_not_quantized(ready: World) -> None:
    before = ready.status.footprint
    ready.edit(serving={"kvCacheType": "Q8_0"})
    assert ready.status.stage == "Measuring"
    ready.run()
    assert ready.started == [*ALL, "measure 1"]
    assert before is not None
    assert ready.status.footprint is not None
    assert ready.status.footprint.peak_bytes < before.peak_bytes


def test_a_gate_is_judged_anew_from_stored_numbers_both_ways(ready: World) -> None:
    ready.edit(qualityGate={"maxPerplexityRatio": "1.01"})
    assert ready.says(ConditionType.EVALUATED) == "False BelowGate"
    assert "1.0200" in ready.message(ConditionType.EVALUATED)
    assert len(ready.deployments) == 1
    ready.edit(qualityGate={"maxPerplexityRatio": "1.01", "onFailure": "Warn"})
    assert ready.says(ConditionType.EVALUATED) == "True BelowGateAccepted"
    ready.edit(qualityGate={})
    assert ready.status.stage == "Ready"
    assert ready.started == ALL


def test_another_evaluation_text_is_evaluated_on_the_same_artifact(ready: World) -> None:
    before = ready.status.artifact
    ready.edit(qualityGate={"text": {"configMapRef": {"name": "mine", "key": "text"}}})
    assert ready.says(ConditionType.EVALUATED) == "Unknown Evaluating"
    assert ready.wish("quantize").evaluation is not None
    ready.complete("quantize", evaluation=EVALUATION.model_copy(update={"text": "User"}))
    assert ready.started == [*ALL, "quantize 1"]
    assert ready.status.artifact == before
    assert ready.status.evaluation is not None
    assert ready.status.evaluation.text == "User"
    assert ready.status.stage == "Ready"


def test_a_text_edited_back_stops_the_evaluation_that_is_not_needed(ready: World) -> None:
    ready.edit(qualityGate={"text": {"configMapRef": {"name": "mine", "key": "text"}}})
    ready.edit(qualityGate={})
    assert ready.status.stage == "Ready"
    assert all(j.state == "Complete" for j in ready.jobs.values())


def test_another_source_starts_over_beside_what_serves(ready: World) -> None:
    old = ready.status.revision
    ready.edit(source={"huggingFace": {"repository": "example/other"}})
    assert ready.says(ConditionType.INSPECTED) == "Unknown Inspecting"
    ready.run()
    assert ready.started == [*ALL, *ALL]
    assert list(deployed(ready)) == [ready.status.revision]
    assert ready.status.revision != old


def test_another_source_stops_the_work_on_the_old_one() -> None:
    world = World(model())
    world.settle()
    world.complete("inspect")
    world.complete("fetch")
    world.edit(source={"huggingFace": {"repository": "example/other"}})
    assert [j.step for j in world.jobs.values() if j.state == "Active"] == ["inspect"]


def test_an_edited_recipe_replaces_the_running_job() -> None:
    world = World(model())
    world.settle()
    world.complete("inspect")
    world.complete("fetch")
    world.edit(quantization=Q8)
    task = world.wish("quantize").containers[0].task
    assert isinstance(task, QuantizeTask)
    assert task.recipe.gguf is not None
    assert task.recipe.gguf.type == "Q8_0"
    world.run()
    assert world.status.stage == "Ready"


def running(step: str) -> World:
    """Return a world in which that step's first Job runs."""
    world = World(model())
    world.settle()
    for each in ALL:
        if each == f"{step} 1":
            return world
        world.complete(each.split()[0])
    return world


Q4 = {"method": "GGUF", "gguf": {"type": "Q4_K_M"}}
TEXT = {"text": {"configMapRef": {"name": "mine", "key": "text"}}}
LEAVES_THE_RESULT = pytest.mark.parametrize(
    "edit",
    [
        {"storage": {"size": "100Gi"}},
        {"quantization": {**Q4, "resources": {"cpu": "8"}}},
        {"quantization": {**Q4, "resources": {"memory": "64Gi"}}},
        {"quantization": {**Q4, "timeoutSeconds": 7200}},
    ],
)


@LEAVES_THE_RESULT
def test_an_edit_that_leaves_the_result_as_it_is_throws_no_work_away(edit: dict[str, Any]) -> None:
    world = running("quantize")
    before = world.active("quantize")
    world.edit(**edit)
    assert world.active("quantize") == before
    world.run()
    assert world.status.stage == "Ready"
    assert world.started == ALL


@LEAVES_THE_RESULT
def test_what_was_edited_during_a_run_counts_once_it_failed(edit: dict[str, Any]) -> None:
    world = running("quantize")
    world.edit(**edit)
    world.fail("quantize", report=failure("quantize", "TextInvalid", retry=15))
    world.advance(60)
    want, fresh = world.wish("quantize"), running("quantize")
    fresh.edit(**edit)
    fresh.delete_job("quantize")
    asked = fresh.wish("quantize")
    assert (want.containers, want.timeout_seconds) == (asked.containers, asked.timeout_seconds)
    world.run()
    assert world.status.stage == "Ready"


def test_a_text_edited_while_the_artifact_is_made_is_evaluated_on_after_that() -> None:
    world = running("quantize")
    before = world.active("quantize")
    world.edit(qualityGate=TEXT)
    assert world.active("quantize") == before
    world.complete("quantize")
    made = world.status.artifact
    assert made is not None
    assert world.says(ConditionType.EVALUATED) == "Unknown Evaluating"
    assert world.wish("quantize").evaluation is not None
    world.complete("quantize", evaluation=EVALUATION.model_copy(update={"text": "User"}))
    assert world.status.artifact == made
    assert world.status.evaluation is not None
    assert world.status.evaluation.text == "User"
    world.run()
    assert world.started == ["inspect 1", "fetch 1", "quantize 1", "quantize 1", "measure 1"]


def test_a_text_edited_and_edited_back_while_the_artifact_is_made_evaluates_once() -> None:
    world = running("quantize")
    world.edit(qualityGate=TEXT)
    world.edit(qualityGate={})
    world.run()
    assert world.started == ALL


def test_an_evaluation_on_a_text_of_before_is_replaced_but_not_for_less(ready: World) -> None:
    ready.edit(qualityGate=TEXT)
    before = ready.active("quantize")
    ready.edit(storage={"size": "100Gi"}, quantization={**Q4, "resources": {"cpu": "8"}})
    assert ready.active("quantize") == before
    ready.edit(qualityGate={"text": {"configMapRef": {"name": "other", "key": "text"}}})
    assert ready.active("quantize").name != before.name
    ready.run()
    assert ready.status.stage == "Ready"


def test_a_larger_volume_leaves_the_download_alone() -> None:
    world = running("fetch")
    before = world.active("fetch")
    world.edit(storage={"size": "100Gi"})
    assert world.active("fetch") == before
    world.run()
    assert world.started == ALL


def test_a_job_of_an_older_release_is_replaced_as_that_did() -> None:
    world = running("quantize")
    before = world.active("quantize")
    world.change("quantize", result_key="", evaluation_key="", pod_key="")
    assert world.active("quantize").uid == before.uid
    world.edit(storage={"size": "100Gi"})
    assert world.active("quantize").uid != before.uid
    world.run()
    assert world.status.stage == "Ready"


def test_another_token_resolves_nothing_anew(ready: World) -> None:
    secret = {"name": "hub", "key": "token"}
    source = {"huggingFace": {"repository": "example/smollm2", "tokenSecretRef": secret}}
    ready.edit(source=source)
    assert ready.status.stage == "Ready"
    assert ready.started == ALL
