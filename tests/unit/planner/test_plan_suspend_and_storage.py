from dataclasses import replace

import pytest

from qmodel.api.conditions import ConditionType
from qmodel.planner.wishes import WantClaim
from unit.planner.values import failure, model
from unit.planner.world import World

Q8 = {"method": "GGUF", "gguf": {"type": "Q8_0"}}
STEPS = ["inspect", "fetch", "quantize", "measure"]
ALL = [f"{step} 1" for step in STEPS]


def test_a_suspended_model_starts_nothing_until_it_is_resumed() -> None:
    world = World(model(suspend=True))
    world.settle()
    assert world.started == []
    assert world.claim is None
    assert world.says(ConditionType.READY) == "False Suspended"
    assert world.status.stage == "Suspended"
    world.edit(suspend=False)
    world.run()
    assert world.started == ALL
    assert world.status.stage == "Ready"


@pytest.mark.parametrize("step", STEPS)
def test_suspending_midway_lets_the_running_job_end_and_starts_no_other(step: str) -> None:
    world = World(model())
    world.settle()
    for each in STEPS[: STEPS.index(step)]:
        world.complete(each)
    world.edit(suspend=True)
    world.complete(step)
    assert world.started == ALL[: STEPS.index(step) + 1]
    assert world.says(ConditionType.READY) == "False Suspended"
    assert not world.deployments
    world.edit(suspend=False)
    world.run()
    assert world.started == ALL
    assert world.status.stage == "Ready"


def test_suspending_keeps_what_serves_even_if_the_recipe_changes() -> None:
    world = World(model())
    world.run()
    before = world.deployment_wishes.copy()
    world.edit(suspend=True)
    assert world.status.stage == "Ready"
    world.edit(quantization=Q8)
    assert world.started == ALL
    assert world.deployment_wishes == before
    assert world.says(ConditionType.AVAILABLE) == "False Suspended"
    world.edit(suspend=False)
    world.run()
    assert world.started == [*ALL, "quantize 1", "measure 1"]
    assert len(world.deployments) == 1


def test_suspending_stops_a_retry_and_resuming_brings_it() -> None:
    world = World(model())
    world.settle()
    world.edit(suspend=True)
    world.fail("inspect", "OOMKilled")
    assert world.started == ["inspect 1"]
    assert world.says(ConditionType.INSPECTED) == "False Suspended"
    world.edit(suspend=False)
    assert world.started == ["inspect 1", "inspect 2"]


@pytest.mark.parametrize(("policy", "owned"), [("Delete", True), ("Retain", False)])
def test_the_deletion_policy_says_who_owns_the_volume(policy: str, owned: bool) -> None:  # noqa: FBT001
    world = World(model(storage={"deletionPolicy": policy}))
    world.run()
    assert isinstance(world.claim_wish, WantClaim)
    assert world.claim_wish.owned is owned


def test_the_deletion_policy_of_a_serving_model_can_be_edited() -> None:
    world = World(model())
    world.run()
    world.edit(storage={"deletionPolicy": "Retain"})
    assert world.claim_wish is not None
    assert not world.claim_wish.owned
    assert world.started == ALL


def test_a_volume_grows_but_is_never_asked_to_shrink() -> None:
    world = World(model(storage={"size": "10Gi"}))
    world.run()
    assert world.claim_wish is not None
    assert world.claim_wish.size_bytes == 10 * 2**30
    world.edit(storage={"size": "12Gi"})
    assert world.claim_wish.size_bytes == 12 * 2**30
    world.edit(storage={"size": "1Gi"})
    assert world.claim_wish.size_bytes == 12 * 2**30
    assert world.status.stage == "Ready"


def test_no_volume_is_made_before_inspection_allows_it() -> None:
    world = World(model())
    world.settle()
    assert world.claim is None
    world.complete("inspect")
    assert world.claim is not None


def test_a_claim_of_the_user_is_used_and_none_is_made() -> None:
    world = World(model(storage={"existingClaim": "mine"}))
    world.run()
    assert world.claim_wish is None
    assert {w.claim_name for w in world.job_wishes.values() if w.step != "inspect"} == {"mine"}
    assert world.status.rollout is not None
    assert world.status.rollout.claim_name == "mine"


@pytest.mark.parametrize(
    ("storage", "shared"),
    [
        ({}, True),
        ({"accessMode": "ReadWriteMany"}, False),
        ({"existingClaim": "mine"}, False),
        ({"existingClaim": "mine", "accessMode": "ReadWriteOnce"}, True),
    ],
)
def test_pods_share_a_node_only_where_the_volume_asks_for_it(
    storage: dict[str, str],
    shared: bool,  # noqa: FBT001
) -> None:
    world = World(model(storage=storage))
    world.run()
    jobs = [want for want in world.job_wishes.values() if want.claim_name is not None]
    assert {want.on_one_node for want in jobs} == {shared}
    assert {w.rollout.on_one_node for w in world.deployment_wishes.values()} == {shared}


def test_servers_are_freed_from_one_node_once_a_claim_is_said_to_be_on_many() -> None:
    mine = {"existingClaim": "mine", "accessMode": "ReadWriteOnce"}
    world = World(model(storage=mine))
    world.run()
    world.edit(storage=mine | {"accessMode": "ReadWriteMany"})
    (want,) = world.deployment_wishes.values()
    assert not want.rollout.on_one_node
    world.run()
    assert world.status.stage == "Ready"
    assert world.started == ALL


def test_what_serves_from_the_claim_before_is_left_where_it_is() -> None:
    world = World(model())
    world.run()
    before = world.deployment_wishes.copy()
    world.edit(storage={"existingClaim": "mine"})
    assert world.says(ConditionType.FETCHED) == "Unknown Fetching"
    assert world.deployment_wishes == before


def test_another_claim_of_the_user_holds_none_of_the_files() -> None:
    world = World(model(storage={"existingClaim": "mine"}))
    world.run()
    world.edit(storage={"existingClaim": "other"})
    assert world.says(ConditionType.FETCHED) == "Unknown Fetching"
    assert len(world.deployments) == 1
    world.run()
    assert world.started == [*ALL, "fetch 1", "quantize 1"]
    assert world.status.rollout is not None
    assert world.status.rollout.claim_name == "other"


def test_a_replaced_volume_has_everything_made_again_while_servers_stay() -> None:
    world = World(model())
    world.run()
    before = world.deployments.copy()
    assert world.claim is not None
    world.claim = replace(world.claim, uid="another")
    world.wake()
    assert world.status.fetched is None
    assert world.status.artifact is None
    assert world.says(ConditionType.FETCHED) == "Unknown Fetching"
    assert world.deployments == before
    world.run()
    assert world.started == [*ALL, "fetch 1", "quantize 1"]
    assert world.deployments == before
    assert world.status.stage == "Ready"


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_volume_deleted_midway_is_made_again_and_filled_again(done: int) -> None:
    world = World(model())
    world.settle()
    for step in STEPS[:done]:
        world.complete(step)
    world.claim = None
    world.wake()
    assert world.claim is not None
    assert world.status.claim_uid == world.claim.uid
    assert [j.step for j in world.jobs.values() if j.state == "Active"] == ["fetch"]
    world.run()
    assert world.status.stage == "Ready"


def test_a_measurement_that_failed_on_a_lost_volume_is_made_on_the_new_one() -> None:
    world = World(model())
    world.settle()
    for step in STEPS[:3]:
        world.complete(step)
    world.fail("measure", report=failure("measure", "EngineFailed"))
    world.claim = None
    world.wake()
    world.run()
    assert world.started == [*ALL, *ALL[1:]]
    assert world.status.stage == "Ready"


def test_a_volume_that_is_refused_is_shown_and_starts_no_job() -> None:
    world = World(model())
    world.settle()
    world.refused = {"PersistentVolumeClaim": "Forbidden"}
    world.complete("inspect")
    assert world.says(ConditionType.FETCHED) == "Unknown Forbidden"
    assert world.started == ["inspect 1"]
    world.refused = {}
    world.wake()
    world.run()
    assert world.status.stage == "Ready"
