"""What is remembered of a value that never changes."""

import pytest

from qmodel.planner import once as module
from qmodel.planner.once import once
from unit.planner.values import spec


class Counted:
    """A pure function that counts how often it worked."""

    def __init__(self) -> None:
        self.calls = 0
        self.remembering = once(self._work)

    def _work(self, value: object, more: str) -> str:
        self.calls += 1
        return f"{value} {more}"


def test_works_once_for_the_same_value() -> None:
    counted, value = Counted(), spec()
    answers = {counted.remembering(value, "a") for _ in range(3)}
    assert answers == {f"{value} a"}
    assert counted.calls == 1


def test_other_arguments_have_their_own_result() -> None:
    counted, value = Counted(), spec()
    assert counted.remembering(value, "a") != counted.remembering(value, "b")
    assert counted.calls == 2


def test_an_equal_value_that_is_another_object_is_worked_out_anew() -> None:
    counted = Counted()
    assert counted.remembering(spec(), "a") == counted.remembering(spec(), "a")
    assert counted.calls == 2


def test_a_value_that_nobody_else_holds_is_never_taken_for_another() -> None:
    counted = Counted()
    names = [f"model {index}" for index in range(100)]
    assert [counted.remembering(list(name), "") for name in names] == [
        f"{list(name)} " for name in names
    ]


def test_what_was_kept_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    counted, values = Counted(), [spec() for _ in range(3)]
    for value in values:
        counted.remembering(value, "")
    counted.remembering(values[2], "")
    assert counted.calls == 3
    counted.remembering(values[0], "")
    assert counted.calls == 4
