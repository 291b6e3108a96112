import re
from collections import Counter

from qmodel.api.conditions import ConditionType
from qmodel.planner.containers import Container
from qmodel.planner.observed import Node
from qmodel.planner.wishes import SecretFiles, SourceAccess
from qmodel.worker.task import FetchTask, FolderSource, HubSource, QuantizeTask
from unit.planner.values import model, source_of
from unit.planner.world import World
from unit.sizing.values import INSPECTION

GPU_NODE = Node(
    "gpu", {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.memory": "24576"},
    {"nvidia.com/gpu": "2"},
)  # fmt: skip


def test_a_repository_is_served_by_four_jobs() -> None:
    world = World(model())
    world.run()
    assert world.started == ["inspect 1", "fetch 1", "quantize 1", "measure 1"]
    assert {world.says(kind).split()[0] for kind in ConditionType} == {"True"}
    assert world.status.stage == "Ready"
    assert world.status.endpoint == "http://smollm2.team-a.svc/v1"


def test_every_status_is_a_transition_and_events_are_few() -> None:
    world = World(model())
    world.run()
    assert len(world.statuses) <= 7
    assert [a.reason for a in world.announcements] == [
        "Inspected",
        "Fetched",
        "Evaluated",
        "Measured",
        "Ready",
    ]


def test_an_idle_world_plans_nothing() -> None:
    world = World(model())
    world.run()
    writes, passes = len(world.statuses), world.plans
    world.advance(1_000_000)
    assert world.plans == passes
    world.wake()
    assert len(world.statuses) == writes


def test_all_times_in_a_status_are_written_in_one_way() -> None:
    world = World(model())
    world.run()
    (step, *_) = world.status.steps
    times = [step.started, step.finished, world.status.conditions[0].last_transition_time]
    assert all(re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", time or "") for time in times)


def test_a_resolved_revision_is_what_is_fetched() -> None:
    secret = {"name": "hub", "key": "token"}
    source = {"huggingFace": {"repository": "example/gated", "tokenSecretRef": secret}}
    world = World(model(source=source))
    world.settle()
    access = SourceAccess(credentials=SecretFiles("hub", {"token": "token"}))
    assert world.wish("inspect").source == access
    world.complete("inspect")
    fetch = world.wish("fetch")
    task = fetch.containers[0].task
    assert isinstance(task, FetchTask)
    assert isinstance(task.source, HubSource)
    assert task.source_revision == INSPECTION.source_revision
    assert task.source.endpoint == "https://hub.example"
    assert fetch.source == access
    world.run()
    assert world.status.stage == "Ready"


def test_a_claim_of_the_user_is_mounted_by_inspect_and_fetch_only() -> None:
    source = {"persistentVolumeClaim": {"claimName": "models", "path": "smollm2"}}
    world = World(model(source=source))
    world.settle()
    assert world.wish("inspect").source == SourceAccess(claim="models")
    world.complete("inspect")
    task = world.wish("fetch").containers[0].task
    assert world.wish("fetch").source == SourceAccess(claim="models")
    assert isinstance(task, FetchTask)
    assert task.source == FolderSource(path="/source/smollm2")
    world.run()
    assert world.status.stage == "Ready"


def test_a_gguf_that_is_served_as_it_is_has_nothing_to_evaluate() -> None:
    world = World(model(quantization={"method": "None"}))
    world.settle()
    world.complete("inspect", inspection=INSPECTION.model_copy(update={"format": "gguf"}))
    world.complete("fetch")
    quantize = world.wish("quantize")
    assert [c.name for c in quantize.containers] == [Container.QUANTIZE]
    world.run()
    assert world.says(ConditionType.EVALUATED) == "True NotApplicable"
    assert world.status.stage == "Ready"


def test_only_measure_and_server_hold_a_gpu_but_all_go_near_it() -> None:
    world = World(model(accelerator={"type": "GPU", "count": 2}), nodes=(GPU_NODE,))
    world.run()
    by_step = {want.step: want for want in world.job_wishes.values()}
    assert by_step["inspect"].node_selector == {}
    for step in ("fetch", "quantize", "measure"):
        assert by_step[step].node_selector == {"nvidia.com/gpu.present": "true"}
    assert by_step["measure"].accelerators is not None
    assert by_step["measure"].accelerators.count == 2
    rollout = world.status.rollout
    assert rollout is not None
    assert (rollout.accelerator.count, rollout.sizing.gpu_layers) == (2, 999)
    assert world.status.accelerator_summary == "2 x nvidia.com/gpu"


def test_nodes_that_come_later_move_nothing() -> None:
    world = World(model())
    world.run()
    before = world.status
    world.nodes = (GPU_NODE,)
    world.wake()
    assert world.status == before


def test_progress_is_of_the_running_step_only() -> None:
    world = World(model())
    world.settle()
    world.complete("inspect")
    world.change("fetch", progress_percent=40)
    assert world.status.progress is not None
    assert world.status.progress.percent == 40
    world.complete("fetch")
    assert world.status.progress is None


def test_the_artifact_of_what_serves_is_kept_on_the_volume() -> None:
    world = World(model())
    world.run()
    first = world.status.revision
    world.edit(quantization={"method": "GGUF", "gguf": {"type": "Q8_0"}})
    task = world.wish("quantize").containers[0].task
    assert isinstance(task, QuantizeTask)
    assert set(task.keep_revisions) == {first, world.status.revision}


def test_jobs_are_made_from_the_source_that_was_inspected() -> None:
    world = World(model())
    world.run()
    inspect = next(w for w in world.job_wishes.values() if w.step == "inspect")
    found = source_of(inspect.containers[0].task)  # type: ignore[arg-type]
    assert world.status.source is not None
    assert world.status.source.source_digest == found.source_digest
    assert Counter(j.step for j in world.jobs.values()).most_common(1)[0][1] == 1
