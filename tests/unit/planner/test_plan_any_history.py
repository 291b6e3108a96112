"""Whatever happens in whatever order: the invariants hold, and once all goes well it serves."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from qmodel.planner.observed import ContainerResult, JobState, ObservedJob
from unit.planner.values import BAD_EVALUATION, INSTALLATION, failure, images, model
from unit.planner.world import World

Event = Callable[[World], None]

RECIPE = {"method": "GGUF", "gguf": {"type": "Q4_K_M"}}
DAMAGED = failure("verify", "ArtifactDamaged", "manifest.json is missing")
TEXT = {"configMapRef": {"name": "mine", "key": "text"}}


def of_a_job(act: Callable[[World, ObservedJob], None]) -> Event:
    """Return what happens to the first running Job, if one runs."""

    def event(world: World) -> None:
        running = [j for j in world.jobs.values() if j.state is JobState.ACTIVE]
        if running:
            act(world, running[0])

    return event


def of_servers(*results: ContainerResult, **why: str) -> Event:
    """Return what happens to the servers, if there is one Deployment of them."""

    def event(world: World) -> None:
        if len(world.deployments) == 1:
            pod = world.server(*results, **why)
            world.advance(20)
            world.servers(pod)

    return event


def lose_the_volume(world: World) -> None:
    world.claim = None
    world.wake()


def upgrade(world: World) -> None:
    number = world.plans
    world.installation = replace(INSTALLATION, images=images(number))
    world.wake()


def crash_in_the_next_pass(world: World) -> None:
    world.crash_at = (world.plans + 1, 1)


def no_api_server_in_the_next_pass(world: World) -> None:
    world.unavailable_at = (world.plans + 1, 0)


def delete_all_jobs(world: World) -> None:
    world.jobs.clear()
    world.wake()


def stick(world: World, job: ObservedJob) -> None:
    pod = replace(world.pod(job.name), unschedulable="no node")
    world.change(job.step, pod=pod)
    world.advance(20)


def start_nothing(world: World, job: ObservedJob) -> None:
    pod = replace(world.pod(job.name), phase="Pending", starting_since=world.now)
    world.change(job.step, pod=pod)
    world.advance(150)


EVENTS: dict[str, Event] = {
    "complete": of_a_job(lambda w, j: w.complete(j.step)),
    "complete badly": of_a_job(lambda w, j: w.complete(j.step, evaluation=BAD_EVALUATION)),
    "killed for memory": of_a_job(lambda w, j: w.fail(j.step, "OOMKilled")),
    "evicted": of_a_job(lambda w, j: w.end(j.step, JobState.FAILED, pod_reason="Evicted")),
    "hub down": of_a_job(
        lambda w, j: w.fail(j.step, report=failure(j.step, "HubUnavailable", retry=15))
    ),
    "source changed": of_a_job(
        lambda w, j: w.fail(j.step, report=failure(j.step, "SourceChanged", retry=15))
    ),
    "stuck": of_a_job(stick),
    "no container starts": of_a_job(start_nothing),
    "serve": World.serve,
    "server killed for memory": of_servers(ContainerResult("server", 137, "OOMKilled", None)),
    "damaged": of_servers(ContainerResult("verify", 1, "Error", DAMAGED)),
    "server without image": of_servers(waiting_reason="ImagePullBackOff"),
    "a minute": lambda w: w.advance(60),
    "lose the volume": lose_the_volume,
    "delete all jobs": delete_all_jobs,
    "upgrade": upgrade,
    "crash": crash_in_the_next_pass,
    "no api server": no_api_server_in_the_next_pass,
    "suspend": lambda w: w.edit(suspend=True),
    "resume": lambda w: w.edit(suspend=False),
    "recipe": lambda w: w.edit(quantization={"method": "GGUF", "gguf": {"type": "Q8_0"}}),
    "recipe back": lambda w: w.edit(quantization=RECIPE),
    "as it is": lambda w: w.edit(quantization={"method": "None"}),
    "gpu": lambda w: w.edit(accelerator={"type": "GPU"}),
    "no gpu": lambda w: w.edit(accelerator={"type": "CPU"}),
    "other source": lambda w: w.edit(source={"huggingFace": {"repository": "example/other"}}),
    "stricter gate": lambda w: w.edit(qualityGate={"maxPerplexityRatio": "1.01"}),
    "other text": lambda w: w.edit(qualityGate={"text": TEXT}),
    "context": lambda w: w.edit(serving={"contextLength": 1024, "replicas": 2}),
    "cache type": lambda w: w.edit(serving={"kvCacheType": "Q8_0"}),
    "larger volume": lambda w: w.edit(storage={"size": "100Gi"}),
    "more processors": lambda w: w.edit(quantization={**RECIPE, "resources": {"cpu": "8"}}),
    "own claim": lambda w: w.edit(storage={"existingClaim": "mine"}),
    "made claim": lambda w: w.edit(storage={}),
}


def mend(world: World) -> None:
    """Do what a person does at last: accept the gate, resume, have what failed tried again."""
    world.edit(suspend=False, qualityGate={"maxPerplexityRatio": "9"}, serving={})
    for name, job in list(world.jobs.items()):
        if job.state is JobState.FAILED:
            world.jobs.pop(name, None)
    world.wake()
    world.run()


@settings(max_examples=50, derandomize=True)
@given(st.lists(st.sampled_from(sorted(EVENTS)), min_size=5, max_size=25))
def test_any_history_ends_well(history: list[str]) -> None:
    world = World(model())
    world.settle()
    for name in history:
        EVENTS[name](world)
    mend(world)
    assert world.status.stage == "Ready"
    assert world.status.serving_revision == world.status.revision
    assert [d.revision for d in world.deployments.values()] == [world.status.revision]
    assert world.service is not None
    assert world.service.revision == world.status.revision
