"""What is remembered of a value that never changes."""

from collections.abc import Callable
from weakref import ref

import pytest

from qmodel.api.source import PersistentVolumeClaimSource
from qmodel.api.spec import QuantizedModelSpec
from qmodel.planner.keys import evaluation_key, source_key
from qmodel.planner.once import once
from qmodel.planner.recipes import recipe
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


def test_a_value_that_is_gone_is_never_taken_for_another() -> None:
    counted = Counted()
    names = [f"model-{index}" for index in range(100)]
    told = [counted.remembering(PersistentVolumeClaimSource(claim_name=name), "") for name in names]
    assert all(name in each for name, each in zip(names, told, strict=True))
    assert counted.calls == 100


def test_what_is_known_of_a_value_goes_with_it() -> None:
    counted, value = Counted(), spec()
    counted.remembering(value, "")
    gone = ref(value)
    del value
    assert gone() is None


@pytest.mark.parametrize("function", [source_key, evaluation_key])
def test_no_spec_is_kept_by_what_is_known_of_it(
    function: Callable[[QuantizedModelSpec], object],
) -> None:
    value = spec()
    assert function(value) is function(value)
    part = value.quantization
    assert recipe(part) is recipe(part)
    gone = ref(value), ref(part)
    del value, part
    assert [each() for each in gone] == [None, None]
