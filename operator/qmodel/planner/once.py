"""What follows from a value that never changes is worked out once, not in every pass.

A spec stays the same object from its parsing to its next edit, and each pass asks for the same
hashes of it a dozen times. Values are known again by identity: that costs nothing, where to compare
or hash a whole spec would cost as much as is saved. What is known of a value goes with it: a spec
takes 6 to 20 kB, and those of models that are gone or were edited are not kept.
"""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, TypeVarTuple
from weakref import ref

Value = TypeVar("Value")
Rest = TypeVarTuple("Rest")
Result = TypeVar("Result")


def once(function: Callable[[Value, *Rest], Result]) -> Callable[[Value, *Rest], Result]:
    """Return a function that remembers its results for as long as their value lives.

    Parameters
    ----------
    function
        Pure. Its first argument is frozen, takes weak references (no slots), and is no part of
        its result; the others are hashable.
    """
    known: dict[int, tuple[ref[Value], dict[tuple[*Rest], Result]]] = {}

    @wraps(function)
    def remembering(value: Value, *rest: *Rest) -> Result:
        number = id(value)
        if number not in known:
            # Called before another value can have the same id.
            known[number] = (ref(value, lambda _: known.pop(number, None)), {})
        results = known[number][1]
        if rest not in results:
            results[rest] = function(value, *rest)
        return results[rest]

    return remembering
