"""Polynomials of the variables of a chat template: what may be written of them, at most."""

from collections.abc import Mapping

MAX_TERMS = 10_000
Form = Mapping[tuple[str, ...], float]
"""By the variables of a product, sorted: its factor."""

ONE: Form = {(): 1}


def plus(*forms: Form) -> Form:
    """Return a sum."""
    total: dict[tuple[str, ...], float] = {}
    for form in forms:
        for product, factor in form.items():
            total[product] = total.get(product, 0) + factor
    return total


def most(*forms: Form) -> Form:
    """Return a bound of whichever is larger; nothing is smaller than one."""
    total: dict[tuple[str, ...], float] = {}
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
    total: dict[tuple[str, ...], float] = {}
    for one, factor in left.items():
        for other, more in right.items():
            product = tuple(sorted((*one, *other)))
            total[product] = total.get(product, 0) + factor * more
    return total
