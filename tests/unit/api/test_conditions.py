import pytest

from qmodel.api.conditions import WORK, Condition, ConditionStatus, ConditionType


def condition(status: ConditionStatus, reason: str) -> Condition:
    return Condition(
        type=ConditionType.FETCHED,
        status=status,
        reason=reason,
        observed_generation=1,
        last_transition_time="2026-01-01T00:00:00Z",
    )


@pytest.mark.parametrize("reason", [*WORK.values(), "WaitingForInspected", "WaitingForVolume"])
def test_work_and_waiting_for_it_are_no_trouble(reason: str) -> None:
    assert not condition(ConditionStatus.UNKNOWN, reason).is_trouble


def test_any_other_reason_to_wait_is_trouble() -> None:
    assert condition(ConditionStatus.UNKNOWN, "HubUnavailable").is_trouble


@pytest.mark.parametrize("status", [ConditionStatus.TRUE, ConditionStatus.FALSE])
def test_what_is_settled_waits_for_nothing(status: ConditionStatus) -> None:
    assert not condition(status, "DiskFull").is_trouble


def test_every_condition_but_the_summary_is_the_end_of_some_work() -> None:
    assert [*WORK, ConditionType.READY] == list(ConditionType)
