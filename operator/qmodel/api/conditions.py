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


class WorkReason(StrEnum):
    """What is done while a condition is worked on: its reason, and the stage of the model."""

    INSPECTING = "Inspecting"
    FETCHING = "Fetching"
    QUANTIZING = "Quantizing"
    EVALUATING = "Evaluating"
    MEASURING = "Measuring"
    SIZING = "Sizing"
    DEPLOYING = "Deploying"


WORK = {
    ConditionType.INSPECTED: WorkReason.INSPECTING,
    ConditionType.FETCHED: WorkReason.FETCHING,
    ConditionType.QUANTIZED: WorkReason.QUANTIZING,
    ConditionType.EVALUATED: WorkReason.EVALUATING,
    ConditionType.MEASURED: WorkReason.MEASURING,
    ConditionType.SIZED: WorkReason.SIZING,
    ConditionType.AVAILABLE: WorkReason.DEPLOYING,
}
"""The work that each condition is the end of, in order."""

WAITING = "WaitingFor"
"""How the reason of a condition begins whose turn has not come."""


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

    @property
    def is_trouble(self) -> bool:
        """Whether it waits for trouble to pass, rather than for work or its turn."""
        is_at_work = self.reason in _AT_WORK or self.reason.startswith(WAITING)
        return self.status is ConditionStatus.UNKNOWN and not is_at_work


_AT_WORK = frozenset(WorkReason)
