"""Kubernetes quantities and decimals: strings on the wire, exact numbers inside."""

from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Annotated

from pydantic import AfterValidator, Field

from qmodel.api.base import cel, rules

_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("0.001"),
    "k": Decimal(1000),
    "M": Decimal(1000) ** 2,
    "G": Decimal(1000) ** 3,
    "T": Decimal(1000) ** 4,
    "P": Decimal(1000) ** 5,
    "E": Decimal(1000) ** 6,
    "Ki": Decimal(1024),
    "Mi": Decimal(1024) ** 2,
    "Gi": Decimal(1024) ** 3,
    "Ti": Decimal(1024) ** 4,
    "Pi": Decimal(1024) ** 5,
    "Ei": Decimal(1024) ** 6,
}
_SUFFIX_LETTERS = "".join(_SUFFIXES)

QUANTITY_PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"
DECIMAL_PATTERN = r"^[0-9]{1,6}(\.[0-9]{1,9})?$"


def parse_quantity(text: str) -> Decimal:
    """Return the number that a Kubernetes quantity stands for.

    Raises
    ------
    ValueError
        If the suffix is none of Kubernetes' own, or what precedes it is no number.
    """
    digits = text.rstrip(_SUFFIX_LETTERS)
    suffix = text[len(digits) :]
    if suffix not in _SUFFIXES or not digits:
        message = f"{text!r} is not a quantity: allowed are a number and one of {list(_SUFFIXES)}"
        raise ValueError(message)
    try:
        return Decimal(digits) * _SUFFIXES[suffix]
    except InvalidOperation as error:
        message = f"{text!r} is not a quantity"
        raise ValueError(message) from error


def bytes_of(quantity: str) -> int:
    """Return a quantity in whole bytes, rounded up."""
    return int(parse_quantity(quantity).to_integral_value(rounding=ROUND_CEILING))


def mebibytes(count: int) -> str:
    """Return a byte count as a canonical quantity, rounded up to whole mebibytes."""
    in_mebibytes = -(-count // 2**20)
    return f"{in_mebibytes // 1024}Gi" if in_mebibytes % 1024 == 0 else f"{in_mebibytes}Mi"


def _positive(text: str) -> str:
    if parse_quantity(text) <= 0:
        message = f"{text!r} must be more than zero"
        raise ValueError(message)
    return text


Quantity = Annotated[
    str,
    Field(
        max_length=32,
        pattern=QUANTITY_PATTERN,
        json_schema_extra=rules(cel("self.matches('[1-9]')", "must be more than zero")),
    ),
    AfterValidator(_positive),
]
"""A positive Kubernetes quantity, such as 500m or 16Gi."""

DecimalString = Annotated[str, Field(max_length=16, pattern=DECIMAL_PATTERN)]
"""A non-negative decimal as a string, such as "1.05"."""
