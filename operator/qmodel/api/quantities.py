"""Kubernetes quantities and decimals: strings on the wire, exact numbers inside."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Annotated, Any

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

QUANTITY_PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
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


def quantity_mib(count: int) -> str:
    """Return a byte count as a canonical quantity, rounded up to whole mebibytes."""
    in_mebibytes = -(-count // 2**20)
    return f"{in_mebibytes // 1024}Gi" if in_mebibytes % 1024 == 0 else f"{in_mebibytes}Mi"


@dataclass(frozen=True)
class _Bounds:
    """The least and the largest that is allowed, far beyond what anybody has."""

    least: str
    most: str
    unit: str

    @property
    def message(self) -> str:
        """What is allowed."""
        return f"must be between {self.least} and {self.most} {self.unit}"

    def field(self) -> Any:
        """Return the schema; what is no quantity is the pattern's to refuse."""
        rule = (
            f"!isQuantity(self) || (quantity(self).compareTo(quantity('{self.least}')) >= 0"
            f" && quantity(self).compareTo(quantity('{self.most}')) <= 0)"
        )
        schema = rules(cel(rule, self.message))
        return Field(max_length=32, pattern=QUANTITY_PATTERN, json_schema_extra=schema)

    def check(self, text: str) -> str:
        """Return the quantity, if it is within the bounds."""
        if not parse_quantity(self.least) <= parse_quantity(text) <= parse_quantity(self.most):
            message = f"{text!r} {self.message}"
            raise ValueError(message)
        return text


_BYTES = _Bounds("1Mi", "8Pi", "bytes")
_CPU = _Bounds("1m", "4096", "CPUs")

ByteQuantity = Annotated[str, _BYTES.field(), AfterValidator(_BYTES.check)]
"""A number of bytes, such as 16Gi."""

CPUQuantity = Annotated[str, _CPU.field(), AfterValidator(_CPU.check)]
"""A number of CPUs, such as 500m."""

DecimalString = Annotated[str, Field(max_length=16, pattern=DECIMAL_PATTERN)]
"""A non-negative decimal as a string, such as "1.05"."""
