"""The volume of an 8 B model: what goes from it, and when it grows."""

from dataclasses import replace

import pytest

from qmodel.api.conditions import ConditionType
from qmodel.api.gguf import GGUFType
from qmodel.planner.observed import ContainerResult, JobState
from qmodel.worker.task import FetchTask, InspectTask
from unit.planner.values import ARTIFACT, failure, model, source_of
from unit.planner.world import World

NEXT = {"huggingFace": {"repository": "example/smollm2", "revision": "next"}}
FIRST = {"huggingFace": {"repository": "example/smollm2"}}
CLAIM = "PersistentVolumeClaim"


def gguf(kind: GGUFType) -> dict[str, object]:
    return {"method": "GGUF", "gguf": {"type": kind}}


def inspect(world: World) -> None:
    """Let the running inspection find an 8 B model."""
    task = world.wish("inspect").containers[0].task
    assert isinstance(task, InspectTask)
    sizes = {
        "parameters": 8_030_000_000,
        "hidden_size": 4096,
        "vocabulary_size": 128_256,
        "weight_bytes": 16_060_000_000,
        "source_bytes": 16_100_000_000,
    }
    world.complete("inspect", inspection=source_of(task).model_copy(update=sizes))


def serving(**spec: object) -> World:
    """Return an 8 B model that serves, by default as Q4_K_M."""
    world = World(model(**spec))
    world.settle()
    inspect(world)
    world.complete("fetch")
    made = {"bytes": 4_920_000_000, "weight_bytes": 4_900_000_000}
    world.complete("quantize", artifact=ARTIFACT.model_copy(update=made))
    world.run()
    assert world.status.stage == "Ready"
    return world


def size(world: World) -> int:
    assert world.claim is not None
    return world.claim.size_bytes


def test_another_revision_of_the_source_takes_the_room_of_the_one_before() -> None:
    world = serving()
    assert world.status.rollout is not None
    world.edit(source=NEXT)
    inspect(world)
    task = world.wish("fetch").containers[0].task
    assert isinstance(task, FetchTask)
    assert world.status.revision is not None
    kept = {world.status.rollout.revision, world.status.revision}
    assert set(task.keep_revisions or ()) == kept
    assert len(kept) == 2


def test_a_fetch_removes_nothing_from_a_claim_that_others_may_use() -> None:
    world = World(model(storage={"existingClaim": "mine"}))
    world.settle()
    world.complete("inspect")
    task = world.wish("fetch").containers[0].task
    assert isinstance(task, FetchTask)
    assert task.keep_revisions is None


def test_files_that_a_fetch_removes_are_not_believed_to_be_there() -> None:
    world = serving()
    world.edit(source=NEXT)
    inspect(world)
    world.edit(source=FIRST)
    inspect(world)
    assert world.says(ConditionType.FETCHED) == "Unknown Fetching"
    world.run()
    assert world.status.stage == "Ready"


@pytest.mark.parametrize("edit", [{"source": NEXT}, {"quantization": gguf(GGUFType.Q8_0)}])
def test_an_artifact_that_never_served_is_made_again(edit: dict[str, object]) -> None:
    world = World(model())
    world.settle()
    inspect(world)
    world.complete("fetch")
    world.complete("quantize")
    world.fail("measure", report=failure("measure", "EngineFailed"))
    world.edit(**edit)
    if "source" in edit:
        inspect(world)
    assert world.status.artifact is None
    world.edit(source=FIRST, quantization=gguf(GGUFType.Q4_K_M))
    if "source" in edit:
        inspect(world)
    world.run()
    assert [step.split()[0] for step in world.started].count("quantize") >= 2
    assert world.status.stage == "Ready"


def test_suspending_forgets_nothing() -> None:
    world = serving()
    fetched, artifact = world.status.fetched, world.status.artifact
    world.edit(suspend=True)
    world.edit(quantization=gguf(GGUFType.Q8_0))
    assert (world.status.fetched, world.status.artifact) == (fetched, artifact)


def test_a_volume_grows_for_a_larger_type() -> None:
    world = serving()
    assert 47e9 < size(world) < 48e9
    world.edit(quantization=gguf(GGUFType.F16))
    assert 70e9 < size(world) < 72e9
    grown = size(world)
    world.run()
    world.edit(quantization=gguf(GGUFType.Q4_K_M))
    world.run()
    assert size(world) == grown


def test_a_volume_that_serves_does_not_grow_by_itself() -> None:
    world = serving()
    assert world.claim is not None
    world.claim = replace(world.claim, size_bytes=1, capacity_bytes=1)
    world.wake()
    assert size(world) == 1


def test_a_suspended_model_asks_for_no_larger_volume() -> None:
    world = serving()
    before = size(world)
    world.edit(suspend=True, quantization=gguf(GGUFType.F16))
    assert size(world) == before


def test_a_class_that_cannot_expand_is_told_of_and_keeps_no_work_back() -> None:
    world = serving()
    before = size(world)
    world.refused = {CLAIM: "Forbidden"}
    world.edit(quantization=gguf(GGUFType.F16))
    assert world.says(ConditionType.FETCHED) == "True Verified"
    assert world.says(ConditionType.QUANTIZED) == "Unknown Quantizing"
    told = world.message(ConditionType.QUANTIZED)
    assert "does not grow to" in told
    assert f"Forbidden: no {CLAIM} is allowed here" in told
    world.run()
    assert world.status.stage == "Ready"
    assert "does not grow" not in world.message(ConditionType.QUANTIZED)
    assert size(world) == before


def test_the_same_while_another_source_is_fetched() -> None:
    world = serving()
    world.refused = {CLAIM: "Forbidden"}
    world.edit(source=NEXT, quantization=gguf(GGUFType.F16))
    inspect(world)
    assert world.says(ConditionType.FETCHED) == "Unknown Fetching"
    assert "does not grow to" in world.message(ConditionType.FETCHED)
    world.run()
    assert world.status.stage == "Ready"


def test_a_size_of_the_user_that_is_refused_is_waited_for() -> None:
    world = serving()
    world.refused = {CLAIM: "Forbidden"}
    world.edit(storage={"size": "1Ti"})
    assert world.says(ConditionType.FETCHED) == "Unknown Forbidden"


def full(world: World) -> None:
    """Let the step find no room."""
    report = failure("quantize", "DiskFull", "9 GB are left")
    world.end("quantize", JobState.FAILED, ContainerResult("quantize", 1, "Error", report))


def test_a_volume_that_never_grows_is_not_waited_for_without_end() -> None:
    """Some drivers promise what they cannot do."""
    world = serving()
    before = size(world)
    world.edit(quantization=gguf(GGUFType.F16))
    assert world.claim is not None
    world.claim = replace(world.claim, capacity_bytes=before)
    tries = len(world.started)
    for _ in range(5):
        full(world)
        assert world.says(ConditionType.QUANTIZED) == "Unknown DiskFull"
        world.advance(300)
    full(world)
    assert world.says(ConditionType.QUANTIZED) == "False DiskFull"
    world.advance(100_000)
    world.wake()
    assert len(world.started) == tries + 5


def test_a_step_that_was_faster_than_the_growth_is_tried_again() -> None:
    world = serving()
    before = size(world)
    world.edit(quantization=gguf(GGUFType.F16))
    assert world.claim is not None
    world.claim = replace(world.claim, capacity_bytes=before)
    full(world)
    assert world.says(ConditionType.QUANTIZED) == "Unknown DiskFull"
    world.claim = replace(world.claim, capacity_bytes=world.claim.size_bytes)
    world.wake()
    world.advance(60)
    assert world.says(ConditionType.QUANTIZED) == "Unknown Quantizing"
    full(world)
    assert world.says(ConditionType.QUANTIZED) == "False DiskFull"
