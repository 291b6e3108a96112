from dataclasses import replace
from datetime import UTC, datetime, timedelta

from qmodel.api.conditions import ConditionStatus, ConditionType
from qmodel.planner import invalid
from qmodel.planner.observed import InvalidModel
from qmodel.planner.wishes import Plan
from unit.planner.values import model
from unit.planner.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def refused(*problems: str, serving: bool = True) -> InvalidModel:
    """Return a model that served, or was just made, and then got a spec that makes no sense."""
    world = World(model())
    if serving:
        world.run()
    found = world.model
    return InvalidModel(
        name=found.name,
        namespace=found.namespace,
        uid=found.uid,
        generation=found.generation + 1,
        deleting=False,
        problems=problems or ("spec.novelty: Extra inputs are not permitted",),
        status=found.status,
    )


def says(plan: Plan, kind: ConditionType) -> str:
    found = plan.status.condition(kind)
    assert found is not None
    return f"{found.status} {found.reason}"


def test_what_is_wrong_is_told_and_announced_once() -> None:
    made = refused("spec.a: wrong", "spec.b: wrong too", serving=False)
    plan = invalid.plan(made, NOW)
    assert plan.wishes == ()
    for kind in (ConditionType.INSPECTED, ConditionType.READY):
        assert says(plan, kind) == "False InvalidSpec"
    (news,) = plan.announcements
    assert (news.type, news.reason) == ("Warning", "InvalidSpec")
    assert news.message == "Inspected: spec.a: wrong; spec.b: wrong too"
    again = invalid.plan(replace(made, status=plan.status), NOW + timedelta(hours=1))
    assert again.status == plan.status
    assert again.announcements == ()


def test_what_was_reached_stays_on_record_and_in_order() -> None:
    plan = invalid.plan(refused(), NOW)
    assert [c.type for c in plan.status.conditions] == list(ConditionType)
    true = [c.type for c in plan.status.conditions if c.status is ConditionStatus.TRUE]
    assert true == list(ConditionType)[1:-1]
    assert plan.status.artifact is not None
    assert plan.status.stage == "InvalidSpec"
    assert plan.status.observed_generation == 2


def test_the_time_of_a_condition_moves_only_with_its_status() -> None:
    first = invalid.plan(refused(), NOW)
    other = replace(refused("spec.c: wrong"), status=first.status)
    second = invalid.plan(other, NOW + timedelta(hours=1))
    before, after = (p.status.condition(ConditionType.READY) for p in (first, second))
    assert before is not None
    assert after is not None
    assert before.last_transition_time == after.last_transition_time == "2026-01-01T00:00:00Z"
    assert after.message == "spec.c: wrong"
