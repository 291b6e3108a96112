"""Polynomials of what a chat template is made of: what may be written of it, at most."""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter

MAX_TERMS = 10_000


@dataclass(frozen=True, eq=False)
class Symbol:
    """What polynomials are made of: one object for each thing that it stands for."""

    number: int
    """In the order of the template, in which the symbols of a product are sorted."""


Product = tuple[Symbol, ...]
Form = Mapping[Product, float]
"""By the symbols of a product, sorted: its factor."""

ONE: Form = {(): 1}
_NUMBER = attrgetter("number")


def plus(*forms: Form) -> Form:
    """Return a sum."""
    total: dict[Product, float] = {}
    for form in forms:
        for product, factor in form.items():
            total[product] = total.get(product, 0) + factor
    return total


def most(*forms: Form) -> Form:
    """Return a bound of whichever is larger; nothing is smaller than one."""
    total: dict[Product, float] = {}
    for form in [form for form in forms if form != ONE] or [ONE]:
        for product, factor in form.items():
            total[product] = max(total.get(product, 0), factor)
    return total


def times(left: Form, right: Form) -> Form:
    """Return a product.

    Raises
    ------
    OverflowError
        If it has too many terms.
    """
    if len(left) * len(right) > MAX_TERMS:
        raise OverflowError
    total: dict[Product, float] = {}
    for one, factor in left.items():
        for other, more in right.items():
            product = tuple(sorted((*one, *other), key=_NUMBER))
            total[product] = total.get(product, 0) + factor * more
    return total
