from dataclasses import replace

import pytest

from qmodel.api.conditions import ConditionType
from qmodel.planner.observed import ContainerResult, JobState
from unit.planner.values import failure, model
from unit.planner.world import World

STEPS = ["inspect", "fetch", "quantize", "measure"]
SHOWN_BY = {
    "inspect": ConditionType.INSPECTED,
    "fetch": ConditionType.FETCHED,
    "quantize": ConditionType.QUANTIZED,
    "measure": ConditionType.MEASURED,
}
every_step = pytest.mark.parametrize("step", STEPS)


def at(step: str) -> World:
    """Return a world in which that step's Job runs."""
    world = World(model())
    world.settle()
    for each in STEPS[: STEPS.index(step)]:
        world.complete(each)
    return world


def attempts(world: World, step: str) -> list[str]:
    """Return the attempts at a step."""
    return [each.split()[1] for each in world.started if each.startswith(step)]


def memory(world: World, step: str) -> int:
    """Return the memory of a step's running Job."""
    return world.wish(step).containers[-1].memory_bytes


def evict(world: World, step: str) -> None:
    """Let the node evict the pod of a step's running Job."""
    world.end(step, JobState.FAILED, pod_reason="Evicted", pod_message="node was low on disk")


@every_step
def test_a_step_killed_for_memory_gets_one_larger_try_and_goes_on(step: str) -> None:
    world = at(step)
    before = memory(world, step)
    world.fail(step, "OOMKilled")
    assert memory(world, step) == 2 * before
    assert "attempt 2" in world.message(SHOWN_BY[step])
    assert "OOMKilled" in world.message(SHOWN_BY[step])
    world.run()
    assert world.status.stage == "Ready"
    found = world.status.step(step)
    assert found is not None
    assert (found.attempts, found.last_reason) == (2, "OOMKilled")


@every_step
def test_a_step_killed_for_memory_twice_stops_and_says_so(step: str) -> None:
    world = at(step)
    world.fail(step, "OOMKilled")
    world.fail(step, "OOMKilled")
    assert attempts(world, step) == ["1", "2"]
    assert world.says(SHOWN_BY[step]) == "False OOMKilled"
    assert world.status.stage == "Failed"
    assert not [j for j in world.jobs.values() if j.state is JobState.ACTIVE]
    world.advance(100_000)
    world.wake()
    assert attempts(world, step) == ["1", "2"]


def test_the_field_that_raises_memory_is_named_and_raising_it_helps() -> None:
    world = at("quantize")
    world.fail("quantize", "OOMKilled")
    world.fail("quantize", "OOMKilled")
    assert "spec.quantization.resources.memory" in world.message(ConditionType.QUANTIZED)
    world.edit(quantization={"method": "GGUF", "resources": {"memory": "64Gi"}})
    assert memory(world, "quantize") == 64 * 2**30
    world.run()
    assert world.status.stage == "Ready"


@every_step
def test_a_failure_that_a_person_must_mend_is_not_tried_again(step: str) -> None:
    world = at(step)
    world.fail(step, report=failure(step, "DiskFull", "the volume has 3 MB left"))
    assert world.says(SHOWN_BY[step]) == "False DiskFull"
    assert "the volume has 3 MB left" in world.message(SHOWN_BY[step])
    assert "Delete Job" in world.message(SHOWN_BY[step])
    world.advance(100_000)
    world.wake()
    assert attempts(world, step) == ["1"]


@every_step
def test_deleting_a_failed_job_asks_for_another_try(step: str) -> None:
    world = at(step)
    world.fail(step, report=failure(step, "DiskFull"))
    world.delete_job(step)
    assert attempts(world, step) == ["1", "2"]
    world.run()
    assert world.status.stage == "Ready"


@every_step
def test_a_running_job_that_somebody_deletes_is_made_again(step: str) -> None:
    world = at(step)
    world.delete_job(step)
    assert attempts(world, step) == ["1", "1"]
    world.run()
    assert world.status.stage == "Ready"


def test_a_hub_that_is_down_is_asked_again_with_growing_pauses() -> None:
    world = at("inspect")
    pauses = []
    for _ in range(8):
        failed_at = world.now
        world.fail("inspect", report=failure("inspect", "HubUnavailable", retry=15))
        assert world.says(ConditionType.INSPECTED) == "Unknown HubUnavailable"
        while world.jobs and all(j.state is JobState.FAILED for j in world.jobs.values()):
            world.advance(1)
        pauses.append((world.now - failed_at).total_seconds())
    assert pauses == [15, 30, 60, 120, 240, 300, 300, 300]
    world.run()
    assert world.status.stage == "Ready"


def test_waiting_for_a_hub_writes_nothing() -> None:
    world = at("fetch")
    world.fail("fetch", report=failure("fetch", "HubUnavailable", retry=15))
    writes = len(world.statuses)
    world.advance(14)
    world.wake()
    assert len(world.statuses) == writes


@every_step
def test_evicted_pods_are_tried_again_a_bounded_number_of_times(step: str) -> None:
    world = at(step)
    for _ in range(6):
        evict(world, step)
        world.advance(400)
    assert attempts(world, step) == ["1", "2", "3", "4", "5", "6"]
    assert world.says(SHOWN_BY[step]) == "False Evicted"
    assert "node was low on disk" in world.message(SHOWN_BY[step])


def test_what_failed_otherwise_before_is_not_counted_as_a_disturbance() -> None:
    world = at("fetch")
    for _ in range(6):
        world.fail("fetch", report=failure("fetch", "HubUnavailable", retry=15))
        world.advance(400)
    for _ in range(5):
        evict(world, "fetch")
        assert world.says(ConditionType.FETCHED) == "Unknown Evicted"
        world.advance(400)
    world.fail("fetch", report=failure("fetch", "HubUnavailable", retry=15))
    world.advance(400)
    evict(world, "fetch")
    assert world.says(ConditionType.FETCHED) == "Unknown Evicted"
    world.advance(6)
    assert len(attempts(world, "fetch")) == 14
    world.run()
    assert world.status.stage == "Ready"


@every_step
def test_a_person_who_asks_for_another_try_has_disturbances_counted_anew(step: str) -> None:
    world = at(step)
    for _ in range(6):
        evict(world, step)
        world.advance(400)
    world.delete_job(step)
    evict(world, step)
    assert world.says(SHOWN_BY[step]) == "Unknown Evicted"
    world.advance(6)
    world.run()
    assert world.status.stage == "Ready"


def test_an_evicted_pod_keeps_the_larger_memory_of_its_try() -> None:
    world = at("quantize")
    before = memory(world, "quantize")
    world.fail("quantize", "OOMKilled")
    world.end("quantize", JobState.FAILED, pod_reason="Evicted")
    world.advance(60)
    assert memory(world, "quantize") == 2 * before
    world.fail("quantize", "OOMKilled")
    assert world.says(ConditionType.QUANTIZED) == "False OOMKilled"


@every_step
def test_a_lost_pod_is_tried_again(step: str) -> None:
    world = at(step)
    world.change(step, state=JobState.FAILED, finished=world.now)
    world.advance(2)
    assert attempts(world, step) == ["1"]
    world.advance(4)
    assert attempts(world, step) == ["1", "2"]
    found = world.status.step(step)
    assert found is not None
    assert found.last_reason == "PodLost"


@every_step
def test_a_failure_for_good_stays_so_when_its_pod_goes_with_its_node(step: str) -> None:
    world = at(step)
    world.fail(step, report=failure(step, "UnsupportedModel", "cannot be"))
    name = max(world.jobs, key=lambda each: world.jobs[each].step == step)
    message = world.message(SHOWN_BY[step])
    world.jobs[name] = replace(world.jobs[name], pod=None)
    world.wake()
    world.advance(60)
    assert world.says(SHOWN_BY[step]) == "False UnsupportedModel"
    assert world.message(SHOWN_BY[step]) == message
    assert attempts(world, step) == ["1"]
    world.delete_job(step)
    assert attempts(world, step) == ["1", "2"]


@every_step
def test_success_without_a_report_is_not_believed(step: str) -> None:
    world = at(step)
    name = world.wish(step).containers[-1].name
    world.end(step, JobState.COMPLETE, ContainerResult(name, 0, "Completed", None))
    world.advance(10)
    assert attempts(world, step) == ["1", "2"]
    world.run()
    assert world.status.stage == "Ready"


def test_news_of_the_pod_may_come_after_news_of_its_job() -> None:
    world = at("inspect")
    job = world.active("inspect")
    announced = len(world.announcements)
    world.change("inspect", state=JobState.COMPLETE, finished=world.now)
    assert world.says(ConditionType.INSPECTED) == "Unknown Inspecting"
    assert len(world.announcements) == announced
    world.jobs[job.name] = job
    world.complete("inspect")
    assert world.started == ["inspect 1", "fetch 1"]


@every_step
def test_a_job_past_its_time_limit_stops(step: str) -> None:
    world = at(step)
    world.change(step, state=JobState.FAILED, finished=world.now, failed_reason="DeadlineExceeded")
    assert world.says(SHOWN_BY[step]) == "False TimedOut"


def test_the_field_that_gives_more_time_is_named_and_raising_it_helps() -> None:
    recipe = {"method": "GGUF", "gguf": {"type": "Q4_K_M"}}
    world = at("quantize")
    world.edit(quantization={**recipe, "timeoutSeconds": 100_000})
    assert attempts(world, "quantize") == ["1"]
    late = {"state": JobState.FAILED, "failed_reason": "DeadlineExceeded"}
    world.change("quantize", finished=world.now, **late)
    assert world.says(ConditionType.QUANTIZED) == "Unknown TimedOut"
    world.advance(6)
    assert attempts(world, "quantize") == ["1", "2"]
    assert "after TimedOut" in world.message(ConditionType.QUANTIZED)
    world.change("quantize", finished=world.now, **late)
    assert world.says(ConditionType.QUANTIZED) == "False TimedOut"
    assert "Raise spec.quantization.timeoutSeconds" in world.message(ConditionType.QUANTIZED)
    world.edit(quantization={**recipe, "timeoutSeconds": 90_000})
    assert attempts(world, "quantize") == ["1", "2"]
    world.advance(60)
    world.edit(quantization={**recipe, "timeoutSeconds": 200_000})
    assert world.wish("quantize").timeout_seconds == 200_000
    world.run()
    assert world.status.stage == "Ready"


@pytest.mark.parametrize("step", ["inspect", "fetch", "measure"])
def test_a_limit_that_no_field_sets_is_not_said_to_be_raised(step: str) -> None:
    world = at(step)
    world.change(step, state=JobState.FAILED, finished=world.now, failed_reason="DeadlineExceeded")
    assert "Raise" not in world.message(SHOWN_BY[step])
    assert "Delete Job" in world.message(SHOWN_BY[step])


def test_a_step_that_ends_with_an_error_tells_its_last_words() -> None:
    world = at("quantize")
    result = ContainerResult("quantize", 2, "Error", None, "error: unknown tensor type")
    world.end("quantize", JobState.FAILED, result)
    assert world.says(ConditionType.QUANTIZED) == "False StepFailed"
    assert "exited 2" in world.message(ConditionType.QUANTIZED)
    assert "unknown tensor type" in world.message(ConditionType.QUANTIZED)


@every_step
def test_a_refused_job_is_shown_and_made_once_it_is_allowed(step: str) -> None:
    world = World(model())
    world.settle() if step != "inspect" else None
    previous = STEPS[: STEPS.index(step)]
    for each in previous[:-1]:
        world.complete(each)
    world.refused = {"Job": "Forbidden"}
    if previous:
        world.complete(previous[-1])
    else:
        world.settle()
    assert world.says(SHOWN_BY[step]) == "Unknown Forbidden"
    assert "no Job is allowed here" in world.message(SHOWN_BY[step])
    world.refused = {}
    world.wake()
    assert attempts(world, step) == ["1"]
    world.run()
    assert world.status.stage == "Ready"


@pytest.mark.parametrize("reason", ["node-lost!", "NodeLost\n", "1NodeLost", "N" * 257])
def test_a_reason_that_no_condition_takes_is_not_shown_as_one(reason: str) -> None:
    world = at("fetch")
    world.end("fetch", JobState.FAILED, pod_reason=reason, pod_message="gone")
    assert world.says(ConditionType.FETCHED) == "Unknown Unknown"
    assert "gone" in world.message(ConditionType.FETCHED)
