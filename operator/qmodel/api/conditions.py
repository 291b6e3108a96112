"""Condition types, and conditions as values."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from qmodel.api.base import ApiModel


class ConditionType(StrEnum):
    """The state machine, in order; `Ready` sums it up."""

    INSPECTED = "Inspected"
    FETCHED = "Fetched"
    QUANTIZED = "Quantized"
    EVALUATED = "Evaluated"
    MEASURED = "Measured"
    SIZED = "Sized"
    AVAILABLE = "Available"
    READY = "Ready"


class ConditionStatus(StrEnum):
    """True: done. Unknown: working or waiting. False: a person must act."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiModel):
    """One condition, as Kubernetes writes them."""

    type: ConditionType
    """Which step of the pipeline."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, Field(max_length=256, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    """Stable CamelCase word for programs."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """What a person should know or do."""
    observed_generation: int
    """Generation of the spec that this speaks of."""
    last_transition_time: str
    """When `status` last changed, RFC 3339."""
