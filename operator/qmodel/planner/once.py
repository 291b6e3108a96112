"""What follows from a value that never changes is worked out once, not in every pass.

A spec stays the same object from its parsing to its next edit, and each pass asks for the same
hashes of it a dozen times. Values are known again by identity: that costs nothing, where to compare
or hash a whole spec would cost as much as is saved.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar, TypeVarTuple

KEPT = 4096
"""Results that are kept of one function; the oldest is worked out again when it is asked for."""

Value = TypeVar("Value")
Rest = TypeVarTuple("Rest")
Result = TypeVar("Result")


def once(function: Callable[[Value, *Rest], Result]) -> Callable[[Value, *Rest], Result]:
    """Return a function that remembers its results.

    Parameters
    ----------
    function
        Pure. Its first argument is frozen; the others are hashable.
    """
    known: OrderedDict[tuple[Hashable, ...], tuple[Value, Result]] = OrderedDict()

    @wraps(function)
    def remembering(value: Value, *rest: *Rest) -> Result:
        key = (id(value), *rest)
        # What is kept holds its value, so that no other can have the same id meanwhile.
        found = known.get(key)
        if found is None:
            found = known[key] = (value, function(value, *rest))
            if len(known) > KEPT:
                known.popitem(last=False)
        return found[1]

    return remembering
