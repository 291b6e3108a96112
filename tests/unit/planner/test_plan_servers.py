from dataclasses import replace

from qmodel.api.conditions import ConditionType
from qmodel.planner.observed import ContainerResult
from unit.planner.values import failure, model
from unit.planner.world import World

STEPS = ["inspect", "fetch", "quantize", "measure"]
Q8 = {"method": "GGUF", "gguf": {"type": "Q8_0"}}
KILLED = ContainerResult("server", 137, "OOMKilled", None)
CRASHED = ContainerResult("server", 1, "Error", None, "error: unknown argument")


def deploying() -> World:
    """Return a world whose servers are about to start."""
    world = World(model())
    world.settle()
    for step in STEPS:
        world.complete(step)
    return world


def limit(world: World) -> int:
    """Return the memory limit of the servers."""
    (want,) = world.deployment_wishes.values()
    return want.rollout.sizing.memory_bytes


def test_a_server_that_crashes_is_shown_with_its_last_words_and_recovers() -> None:
    world = deploying()
    world.servers(world.server(CRASHED))
    assert world.says(ConditionType.AVAILABLE) == "Unknown ServerCrashed"
    assert "unknown argument" in world.message(ConditionType.AVAILABLE)
    assert world.status.stage == "Deploying"
    world.serve()
    assert world.status.stage == "Ready"


def test_servers_that_no_request_reaches_yet_are_not_available() -> None:
    world = deploying()
    world.is_routing_late = True
    world.serve()
    assert world.says(ConditionType.AVAILABLE) == "Unknown Deploying"
    world.is_routing_late = False
    world.wake()
    assert world.says(ConditionType.AVAILABLE) == "True Answering"


def test_no_servers_are_asked_for_without_waiting_for_requests_to_reach_them() -> None:
    world = World(model())
    world.run()
    world.edit(serving={"replicas": 0})
    world.serve()
    assert world.says(ConditionType.AVAILABLE) == "True ScaledToZero"


def test_a_server_that_crashes_after_it_served_keeps_its_address() -> None:
    world = World(model())
    world.run()
    world.servers(world.server(CRASHED))
    assert world.says(ConditionType.READY) == "Unknown ServerCrashed"
    assert world.service is not None
    assert world.service.revision == world.status.revision
    world.serve()
    assert world.status.stage == "Ready"


def test_a_damaged_artifact_stops_and_says_what_to_do() -> None:
    world = deploying()
    report = failure("verify", "ArtifactDamaged", "model.gguf is not what the manifest says")
    world.servers(world.server(ContainerResult("verify", 1, "Error", report)))
    assert world.says(ConditionType.AVAILABLE) == "False ArtifactDamaged"
    assert "delete the claim" in world.message(ConditionType.AVAILABLE)
    world.claim = None
    world.wake()
    world.run()
    assert world.status.stage == "Ready"
    assert world.started == [*(f"{step} 1" for step in STEPS), "fetch 1", "quantize 1"]


def test_what_is_damaged_on_a_claim_of_the_user_is_made_anew_once_for_each_pod() -> None:
    """The claim's name says nothing of what became of it; the servers do."""
    world = World(model(storage={"existingClaim": "mine"}))
    world.run()
    before = world.deployments.copy()
    report = failure("verify", "ArtifactDamaged", "manifest.json is missing")
    found = ContainerResult("verify", 1, "Error", report)
    world.advance(60)
    pod = world.server(found)
    world.servers(pod)
    assert world.says(ConditionType.FETCHED) == "Unknown Fetching"
    assert list(world.deployments) == list(before)
    world.complete("fetch")
    world.advance(7)
    world.complete("quantize")
    again = [*(f"{step} 1" for step in STEPS), "fetch 2", "quantize 2"]
    assert world.started == again
    assert world.says(ConditionType.AVAILABLE) == "False ArtifactDamaged"
    world.advance(100_000)
    world.wake()
    assert world.started == again
    world.serve()
    assert world.status.stage == "Ready"
    world.servers(world.server(found))
    assert world.started == [*again, "fetch 3"]


def test_nothing_is_made_anew_while_suspended() -> None:
    world = World(model(storage={"existingClaim": "mine"}))
    world.run()
    world.edit(suspend=True)
    report = failure("verify", "ArtifactDamaged", "manifest.json is missing")
    world.advance(60)
    world.servers(world.server(ContainerResult("verify", 1, "Error", report)))
    assert world.says(ConditionType.AVAILABLE) == "False ArtifactDamaged"
    assert world.says(ConditionType.FETCHED) == "True Verified"


def test_a_server_killed_for_memory_gets_one_larger_try_and_serves() -> None:
    world = deploying()
    before = limit(world)
    world.servers(world.server(KILLED))
    assert limit(world) == int(before * 1.5)
    world.serve()
    assert world.status.stage == "Ready"
    assert limit(world) == int(before * 1.5)
    found = world.status.step("serve")
    assert found is not None
    assert found.last_reason == "OOMKilled"


def test_a_server_killed_for_memory_twice_stops() -> None:
    world = deploying()
    before = limit(world)
    old = world.server(KILLED)
    world.advance(30)
    world.servers(old)
    world.servers(old, world.server())
    assert world.status.stage == "Deploying"
    world.servers(old, world.server(KILLED))
    assert world.says(ConditionType.AVAILABLE) == "False OOMKilled"
    assert limit(world) == int(before * 1.5)


def test_another_sizing_counts_servers_killed_for_memory_anew() -> None:
    world = deploying()
    world.servers(world.server(KILLED))
    raised = limit(world)
    world.advance(60)
    world.servers(world.server(KILLED))
    assert world.says(ConditionType.AVAILABLE) == "False OOMKilled"
    world.advance(60)
    world.edit(serving={"contextLength": 1024})
    world.serve()
    assert world.status.stage == "Ready"
    assert limit(world) < raised - 64 * 2**20


def test_servers_of_the_sizing_before_do_not_raise_the_one_that_is_asked_for_now() -> None:
    world = deploying()
    world.servers(world.server(KILLED))
    world.servers(world.server(KILLED))
    assert world.says(ConditionType.AVAILABLE) == "False OOMKilled"
    world.edit(serving={"contextLength": 512})
    assert world.status.sizing is not None
    asked = world.status.sizing.predicted_peak_bytes
    assert limit(world) < 1.5 * asked
    assert world.says(ConditionType.AVAILABLE) == "Unknown ServerCrashed"
    world.serve()
    assert world.status.stage == "Ready"
    assert limit(world) < 1.5 * asked


def test_a_server_without_a_node_is_shown_after_the_grace() -> None:
    world = deploying()
    world.servers(world.server(unschedulable="0/1 nodes are available"))
    assert world.says(ConditionType.AVAILABLE) == "Unknown Deploying"
    world.advance(11)
    assert world.says(ConditionType.AVAILABLE) == "Unknown Unschedulable"
    world.serve()
    assert world.status.stage == "Ready"


def test_a_server_that_does_not_start_is_shown_after_the_grace() -> None:
    world = deploying()
    world.servers(world.server(phase="Pending", starting_since=world.now))
    world.advance(119)
    assert world.says(ConditionType.AVAILABLE) == "Unknown Deploying"
    world.advance(2)
    assert world.says(ConditionType.AVAILABLE) == "Unknown ContainersNotStarted"
    world.serve()
    assert world.status.stage == "Ready"


def test_servers_that_a_quota_forbids_are_shown_in_its_words() -> None:
    world = deploying()
    world.servers()
    ((name, found),) = world.deployments.items()
    world.deployments[name] = replace(found, failed_create="exceeded quota: team-a")
    world.wake()
    assert world.says(ConditionType.AVAILABLE) == "Unknown FailedCreate"
    assert "exceeded quota: team-a" in world.message(ConditionType.AVAILABLE)
    world.deployments[name] = found
    world.serve()
    assert world.status.stage == "Ready"


def test_lasting_trouble_of_one_server_is_not_hidden_by_a_new_one() -> None:
    world = deploying()
    old = world.server(waiting_reason="ImagePullBackOff")
    world.servers(old)
    world.advance(60)
    world.servers(world.server(unschedulable="no node"), old)
    assert world.says(ConditionType.AVAILABLE) == "Unknown ImagePullBackOff"


def test_refused_servers_are_shown_and_made_once_they_are_allowed() -> None:
    world = World(model())
    world.settle()
    world.refused = {"Deployment": "Forbidden"}
    for step in STEPS:
        world.complete(step)
    assert world.says(ConditionType.AVAILABLE) == "Unknown Forbidden"
    world.refused = {}
    world.wake()
    world.serve()
    assert world.status.stage == "Ready"


def test_first_servers_that_never_answered_go_when_another_revision_is_wanted() -> None:
    world = deploying()
    world.servers(world.server(CRASHED))
    assert world.status.serving_revision is None
    world.edit(quantization=Q8)
    assert world.status.stage == "Quantizing"
    assert not world.deployments
    world.run()
    assert world.status.stage == "Ready"
    assert [d.revision for d in world.deployments.values()] == [world.status.revision]


def test_first_servers_that_never_answered_stay_while_nothing_else_is_begun() -> None:
    world = deploying()
    world.servers(world.server(CRASHED))
    world.edit(suspend=True, quantization=Q8)
    assert len(world.deployments) == 1
    world.edit(suspend=False)
    assert not world.deployments


def test_first_servers_stay_once_one_of_them_has_answered() -> None:
    world = deploying()
    world.edit(serving={"replicas": 2})
    ((name, found),) = world.deployments.items()
    world.deployments[name] = replace(found, replicas=2, ready_replicas=1)
    world.wake()
    first = world.status.revision
    assert world.status.serving_revision == first
    world.servers(world.server(CRASHED))
    world.edit(quantization=Q8)
    assert [d.revision for d in world.deployments.values()] == [first]
    assert world.service is not None
    assert world.service.revision == first


def test_no_server_is_asked_for() -> None:
    world = World(model(serving={"replicas": 0}))
    world.run()
    assert world.says(ConditionType.AVAILABLE) == "True ScaledToZero"
    world.edit(serving={"replicas": 1})
    assert world.status.stage == "Deploying"
    world.serve()
    assert world.status.stage == "Ready"


def test_a_deployment_that_somebody_deletes_comes_back() -> None:
    world = World(model())
    world.run()
    world.deployments.clear()
    world.wake()
    assert len(world.deployments) == 1
    world.serve()
    assert world.status.stage == "Ready"
