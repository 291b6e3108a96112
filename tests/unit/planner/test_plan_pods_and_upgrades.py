from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from qmodel.api.conditions import ConditionType
from qmodel.engines import llamacpp
from qmodel.planner import engine, serve
from qmodel.planner.observed import JobState, ObservedPod
from qmodel.planner.plan import plan
from qmodel.sizing import margin
from qmodel.worker.task import MeasureTask
from unit.planner.values import INSTALLATION, failure, images, model
from unit.planner.world import World

STEPS = ["inspect", "fetch", "quantize", "measure"]
NO_NODE = "0/1 nodes are available: 1 Insufficient memory."
UPGRADED = replace(INSTALLATION, images=images(2))


def at(step: str) -> World:
    """Return a world in which that step's Job runs."""
    world = World(model())
    world.settle()
    for each in STEPS[: STEPS.index(step)]:
        world.complete(each)
    return world


def unheard(world: World, step: str, pod: ObservedPod) -> None:
    """Let a step's Job have this pod; of a pod that is made or starts the planner is not told."""
    job = world.active(step)
    world.jobs[job.name] = replace(job, pod=pod)


def stuck(world: World, step: str, **why: Any) -> None:
    """Let the pod of a step's Job not come to run."""
    job = world.active(step)
    world.change(step, pod=replace(world.pod(job.name), phase="Pending", **why))


def upgrade(world: World) -> None:
    """Restart as another release."""
    world.installation = UPGRADED
    world.wake()


def test_an_unschedulable_pod_is_shown_after_the_grace_and_recovers_by_itself() -> None:
    world = at("quantize")
    stuck(world, "quantize", unschedulable=NO_NODE)
    assert world.says(ConditionType.QUANTIZED) == "Unknown Quantizing"
    world.advance(11)
    assert world.says(ConditionType.QUANTIZED) == "Unknown Unschedulable"
    assert NO_NODE in world.message(ConditionType.QUANTIZED)
    writes = len(world.statuses)
    world.advance(10_000)
    world.wake()
    assert len(world.statuses) == writes
    job = world.active("quantize")
    world.change("quantize", pod=world.pod(job.name))
    assert world.says(ConditionType.QUANTIZED) == "Unknown Quantizing"
    world.run()
    assert world.started == [f"{step} 1" for step in STEPS]


def test_a_pod_whose_volume_is_being_made_is_given_longer() -> None:
    world = at("fetch")
    stuck(world, "fetch", unschedulable="pod has unbound immediate PersistentVolumeClaims.")
    world.advance(59)
    assert world.says(ConditionType.FETCHED) == "Unknown Fetching"
    world.advance(2)
    assert world.says(ConditionType.FETCHED) == "Unknown Unschedulable"


@pytest.mark.parametrize("step", STEPS)
def test_a_job_without_a_pod_says_so_after_the_grace_and_recovers_by_itself(step: str) -> None:
    world = at(step)
    world.advance(59)
    assert all(a.type == "Normal" for a in world.announcements)
    world.advance(2)
    assert world.says(ConditionType.READY) == "Unknown NoPod"
    assert "kubectl describe job" in world.message(ConditionType.READY)
    writes = len(world.statuses)
    world.advance(600)
    assert len(world.statuses) == writes
    unheard(world, step, world.pod(world.active(step).name))
    world.advance(30)
    assert "NoPod" not in world.says(ConditionType.READY)
    world.run()
    assert world.started == [f"{each} 1" for each in STEPS]


def test_whether_a_job_gets_a_pod_is_looked_at_though_nobody_is_told_that_it_was_made() -> None:
    world = World(model())
    started = plan(world.model, world.observed(), world.now)
    assert started.requeue_after == timedelta(seconds=60)


def test_a_pod_that_does_not_start_its_containers_says_so_and_recovers_by_itself() -> None:
    world = at("quantize")
    pod = replace(world.pod("p"), phase="Pending", starting_since=world.now)
    unheard(world, "quantize", pod)
    world.advance(119)
    assert all(a.type == "Normal" for a in world.announcements)
    world.advance(2)
    assert world.says(ConditionType.QUANTIZED) == "Unknown ContainersNotStarted"
    assert "kubectl describe pod p-pod" in world.message(ConditionType.QUANTIZED)
    writes = len(world.statuses)
    world.advance(600)
    assert len(world.statuses) == writes
    unheard(world, "quantize", replace(pod, starting_since=None))
    world.advance(30)
    assert world.says(ConditionType.QUANTIZED) == "Unknown Quantizing"
    world.run()
    assert world.started == [f"{each} 1" for each in STEPS]


def test_a_pod_that_waited_for_its_node_is_given_the_time_to_start() -> None:
    world = at("quantize")
    stuck(world, "quantize", unschedulable=NO_NODE)
    world.advance(3600)
    pod = world.active("quantize").pod
    assert pod is not None
    world.change("quantize", pod=replace(pod, unschedulable="", starting_since=world.now))
    assert world.says(ConditionType.QUANTIZED) == "Unknown Quantizing"
    world.advance(121)
    assert world.says(ConditionType.QUANTIZED) == "Unknown ContainersNotStarted"


def test_a_pod_that_waits_briefly_is_no_trouble() -> None:
    world = at("quantize")
    stuck(world, "quantize", waiting_reason="ImagePullBackOff")
    world.advance(5)
    world.change("quantize", pod=world.pod("p"))
    assert all(a.type == "Normal" for a in world.announcements)


def test_a_pod_that_found_no_node_until_its_job_timed_out_is_tried_again() -> None:
    world = at("inspect")
    stuck(world, "inspect", unschedulable=NO_NODE)
    world.advance(600)
    world.change(
        "inspect",
        state=JobState.FAILED,
        finished=world.now,
        failed_reason="DeadlineExceeded",
        pod=None,
    )
    assert world.says(ConditionType.INSPECTED) == "Unknown TimedOut"
    world.advance(6)
    assert world.started == ["inspect 1", "inspect 2"]
    world.run()
    assert world.status.stage == "Ready"


def test_an_edit_starts_a_pod_that_found_no_node_anew() -> None:
    recipe = {"method": "GGUF", "gguf": {"type": "Q4_K_M"}}
    world = World(model(quantization={**recipe, "nodeSelector": {"pool": "none"}}))
    world.settle()
    world.complete("inspect")
    stuck(world, "fetch", unschedulable=NO_NODE)
    world.advance(60)
    assert world.says(ConditionType.FETCHED) == "Unknown Unschedulable"
    world.edit(quantization={**recipe, "nodeSelector": {"pool": "models"}})
    assert world.wish("fetch").node_selector == {"pool": "models"}
    world.run()
    assert world.status.stage == "Ready"


def test_an_edit_that_does_not_reach_the_pod_leaves_one_that_does_not_start_alone() -> None:
    world = World(model())
    world.run()
    world.edit(quantization={"method": "GGUF", "gguf": {"type": "Q8_0"}})
    stuck(world, "quantize", starting_since=world.now)
    world.advance(180)
    assert world.says(ConditionType.QUANTIZED) == "Unknown ContainersNotStarted"
    before = world.active("quantize")
    for replicas in (2, 3, 2):
        world.edit(serving={"replicas": replicas}, qualityGate={"maxPerplexityRatio": "2"})
        assert world.active("quantize") == before


@pytest.mark.parametrize(
    "edit",
    [
        {"quantization": {"method": "GGUF", "resources": {"cpu": "1"}}},
        {"quantization": {"method": "GGUF", "resources": {"memory": "1Gi"}}},
        {"quantization": {"method": "GGUF", "tolerations": [{"operator": "Exists"}]}},
        {"qualityGate": {"text": {"persistentVolumeClaim": {"claimName": "t", "path": "a"}}}},
        {"storage": {"accessMode": "ReadWriteMany"}},
        {"serving": {"podTemplate": {"imagePullSecrets": [{"name": "registry"}]}}},
    ],
)
def test_an_edit_of_what_the_pod_is_given_starts_it_anew(edit: dict[str, Any]) -> None:
    world = at("quantize")
    stuck(world, "quantize", unschedulable=NO_NODE)
    world.advance(60)
    before = world.active("quantize").uid
    world.edit(**edit)
    assert world.active("quantize").uid != before
    stuck(world, "quantize", unschedulable=NO_NODE)
    world.advance(60)
    again = world.active("quantize").uid
    world.wake()
    assert world.active("quantize").uid == again


def test_a_larger_try_that_finds_no_node_is_left_alone_by_other_edits() -> None:
    world = at("quantize")
    world.fail("quantize", "OOMKilled")
    stuck(world, "quantize", unschedulable=NO_NODE)
    world.advance(60)
    before = world.active("quantize")
    world.edit(serving={"replicas": 2})
    assert world.active("quantize") == before


def test_an_edit_leaves_a_pod_that_runs_alone() -> None:
    world = at("quantize")
    world.edit(quantization={"method": "GGUF", "nodeSelector": {"pool": "models"}})
    world.run()
    assert world.started == [f"{step} 1" for step in STEPS]


@pytest.mark.parametrize("step", STEPS)
def test_an_image_that_cannot_be_pulled_is_mended_by_an_upgrade(step: str) -> None:
    world = at(step)
    stuck(world, step, waiting_reason="ImagePullBackOff", waiting_message="no such image")
    world.advance(11)
    assert world.says(ConditionType.READY) == "Unknown ImagePullBackOff"
    assert "no such image" in world.message(ConditionType.READY)
    upgrade(world)
    assert world.wish(step).containers[0].image.endswith(":2")
    found = world.status.step(step)
    assert found is not None
    assert found.image.endswith(":2")
    stuck(world, step, waiting_reason="ImagePullBackOff")
    before = world.started.copy()
    world.advance(60)
    assert world.started == before
    world.run()
    assert world.status.stage == "Ready"
    assert world.status.rollout is not None
    assert world.status.rollout.image == "llamacpp:2"


@pytest.mark.parametrize(
    ("container", "image"), [("quantize", "autoawq"), ("evaluate", "quantizer")]
)
def test_of_a_job_with_two_images_either_is_mended_by_an_upgrade_and_only_by_that(
    container: str, image: str
) -> None:
    method = {"method": "AWQ", "backend": "AutoAWQ", "awq": {"groupSize": 64}}
    world = World(model(quantization=method))
    world.settle()
    for each in STEPS[:2]:
        world.complete(each)
    stuck(world, "quantize", waiting_reason="ImagePullBackOff", waiting_message="no such image")
    world.advance(60)
    assert world.started == ["inspect 1", "fetch 1", "quantize 1"]
    assert world.says(ConditionType.QUANTIZED) == "Unknown ImagePullBackOff"
    found = world.status.step("quantize")
    assert found is not None
    assert found.image == "autoawq:1"
    mended = replace(INSTALLATION.images, **{image: "mended:1"})
    world.installation = replace(INSTALLATION, images=mended)
    world.wake()
    images = {each.name: each.image for each in world.wish("quantize").containers}
    assert images[container] == "mended:1"
    assert world.started[3:] == ["quantize 1"]


def test_an_upgrade_changes_nothing_that_is_healthy() -> None:
    world = World(model())
    world.run()
    started, wishes, writes = world.started.copy(), world.deployment_wishes.copy(), world.statuses
    upgrade(world)
    assert world.started == started
    assert world.deployment_wishes == wishes
    assert world.statuses == writes
    world.edit(serving={"replicas": 2, "contextLength": 2048})
    world.run()
    assert world.started == started
    (want,) = world.deployment_wishes.values()
    assert want.rollout.image == "llamacpp:1"


@pytest.mark.parametrize("step", STEPS[:-1])
def test_an_upgrade_midway_lets_the_running_job_end(step: str) -> None:
    world = at(step)
    upgrade(world)
    world.run()
    assert world.started == [f"{each} 1" for each in STEPS]
    assert world.status.stage == "Ready"


def test_an_upgrade_that_measures_otherwise_measures_with_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = at("measure")
    world.wake()
    assert world.started == [f"{step} 1" for step in STEPS]
    monkeypatch.setattr(llamacpp, "UBATCH_TOKENS", 1024)
    world.wake()
    assert world.started == [*(f"{step} 1" for step in STEPS), "measure 1"]
    task = world.wish("measure").containers[0].task
    assert isinstance(task, MeasureTask)
    assert task.argv[task.argv.index("--ubatch-size") + 1] == "1024"
    upgrade(world)
    assert world.wish("measure").containers[0].image == "llamacpp:2"
    world.run()
    assert world.status.footprint is not None
    assert world.status.footprint.argv == task.argv
    assert world.status.footprint.image == "llamacpp:2"
    assert world.status.rollout is not None
    assert world.status.rollout.image == "llamacpp:2"


def test_what_is_measured_anew_after_an_upgrade_is_served_by_the_new_image() -> None:
    world = World(model())
    world.run()
    upgrade(world)
    world.edit(serving={"kvCacheType": "Q8_0"})
    world.run()
    assert world.started == [*(f"{step} 1" for step in STEPS), "measure 1"]
    assert world.status.rollout is not None
    assert world.status.rollout.image == "llamacpp:2"
    assert world.status.stage == "Ready"


def test_a_wait_survives_a_restart_of_the_operator() -> None:
    world = at("inspect")
    world.fail("inspect", report=failure("inspect", "HubUnavailable", retry=15))
    world.now += timedelta(seconds=5)
    upgrade(world)
    world.advance(11)
    assert world.started == ["inspect 1", "inspect 2"]


def test_another_margin_or_patience_of_a_release_restarts_no_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(model())
    world.run()
    before, wishes = world.status, world.deployment_wishes.copy()
    monkeypatch.setattr(margin, "MARGIN_SHARE_PERCENT", 50)
    monkeypatch.setattr(engine, "SERVER_CPU", "750m")
    monkeypatch.setattr(serve, "_LEAST_STARTUP_SECONDS", 999)
    world.wake()
    assert world.deployment_wishes == wishes
    assert world.status == before
    world.edit(serving={"concurrency": 2})
    (want,) = world.deployment_wishes.values()
    assert want.rollout.sizing.cpu == "750m"
    assert want.rollout.startup_seconds == 999


def test_an_upgrade_leaves_what_a_suspended_model_serves() -> None:
    world = World(model())
    world.run()
    sizing = world.status.sizing
    assert sizing is not None
    older = world.status.updated({"sizing": sizing.updated({"key": None})})
    world.model = world.model.model_copy(update={"status": older})
    world.edit(suspend=True)
    assert world.says(ConditionType.AVAILABLE) == "True Answering"
