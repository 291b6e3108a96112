"""What must hold of every plan, whatever happened."""

from collections import Counter
from typing import Any

from qmodel.api.conditions import ConditionStatus, ConditionType
from qmodel.api.status import QuantizedModelStatus
from qmodel.planner.containers import Step
from qmodel.planner.observed import JobState
from qmodel.planner.wishes import Plan, Remove, WantDeployment, WantJob, WantService

NEEDS_SOURCE = {Step.INSPECT, Step.FETCH}


def check(world: Any, found: Plan) -> None:
    """Assert all of them."""
    _status_is_read_back(found.status)
    _conditions_are_in_order(world, found.status)
    _ready_sums_up(found.status)
    _what_serves_is_kept(found)
    _one_job_a_step(world, found)
    for wish in found.wishes:
        if isinstance(wish, WantJob):
            _job_is_given_what_it_needs(wish)


def _status_is_read_back(status: QuantizedModelStatus) -> None:
    assert QuantizedModelStatus.model_validate(status.to_wire()) == status


def _conditions_are_in_order(world: Any, status: QuantizedModelStatus) -> None:
    assert [c.type for c in status.conditions] == list(ConditionType)
    assert status.observed_generation == world.model.generation
    assert {c.observed_generation for c in status.conditions} == {world.model.generation}


def _ready_sums_up(status: QuantizedModelStatus) -> None:
    *parts, ready = status.conditions
    states = [part.status for part in parts]
    if ready.status is ConditionStatus.TRUE:
        assert set(states) == {ConditionStatus.TRUE}
    else:
        assert ready.status in states


def _what_serves_is_kept(found: Plan) -> None:
    rollout = found.status.rollout
    if rollout is None:
        return
    assert any(isinstance(w, WantDeployment) and w.rollout == rollout for w in found.wishes)
    assert [w.revision for w in found.wishes if isinstance(w, WantService)] == [rollout.revision]


def _one_job_a_step(world: Any, found: Plan) -> None:
    removed = {w.name for w in found.wishes if isinstance(w, Remove)}
    active = {j.name: j.step for j in world.jobs.values() if j.state is JobState.ACTIVE}
    wanted = {w.name: w.step for w in found.wishes if isinstance(w, WantJob)}
    assert not removed & wanted.keys(), "wanted and removed at once"
    left = {name: step for name, step in (active | wanted).items() if name not in removed}
    assert all(count == 1 for count in Counter(left.values()).values()), left


def _job_is_given_what_it_needs(want: WantJob) -> None:
    if want.step not in NEEDS_SOURCE:
        assert want.source is None
    if want.step not in (Step.QUANTIZE, Step.MEASURE):
        assert want.accelerators is None
    assert (want.claim_name is None) == (want.step is Step.INSPECT)
