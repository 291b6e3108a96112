"""What things come to by what they name: macros that call each other, values made of each other."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

Thing = TypeVar("Thing")


def reach(direct: Mapping[Thing, Iterable[Thing]]) -> dict[Thing, set[Thing]]:
    """Return what each thing comes to, over others too.

    Parameters
    ----------
    direct
        What each names; what is no key of it leads nowhere, and is left out.
    """
    bits = {thing: 1 << place for place, thing in enumerate(direct)}
    reached = {
        thing: sum(bits[other] for other in {*named} if other in bits)
        for thing, named in direct.items()
    }
    for through, bit in bits.items():
        for thing, found in reached.items():
            if found & bit:
                reached[thing] = found | reached[through]
    return {
        thing: {other for other, bit in bits.items() if found & bit}
        for thing, found in reached.items()
    }


def together(thing: Thing, reached: Mapping[Thing, set[Thing]]) -> set[Thing]:
    """Return a thing with those that it comes to and that come to it."""
    return {other for other in reached[thing] if thing in reached[other]} | {thing}
