"""Where pods may run, and what the quantize Job requests."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from qmodel.api.base import ApiModel, cel, rules
from qmodel.api.labels import LabelKey, Labels, LabelValue
from qmodel.api.quantities import ByteQuantity, CPUQuantity

_EVERY_TAINT_MESSAGE = "without a key, operator must be Exists"
_VALUE_MESSAGE = "operator Exists takes no value"
_SECONDS_MESSAGE = "tolerationSeconds needs effect NoExecute"


class Toleration(ApiModel):
    """A toleration as in a pod."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
                _EVERY_TAINT_MESSAGE,
            ),
            cel(
                "!has(self.value) || !has(self.operator) || self.operator == 'Equal'",
                _VALUE_MESSAGE,
            ),
            cel(
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                _SECONDS_MESSAGE,
            ),
        )
    )

    key: LabelKey | None = None
    """Taint key; absent with operator Exists: every taint."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """Exists or Equal."""
    value: LabelValue | None = None
    """Taint value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Taint effect; absent: every effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2_147_483_647)] | None = None
    """How long a NoExecute taint is tolerated, in seconds."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.key is None and self.operator != "Exists":
            raise ValueError(_EVERY_TAINT_MESSAGE)
        if self.value is not None and self.operator == "Exists":
            raise ValueError(_VALUE_MESSAGE)
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError(_SECONDS_MESSAGE)
        return self


NodeSelector = Labels
"""Labels that a node must carry."""

Tolerations = Annotated[
    list[Toleration],
    Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
]


class JobResources(ApiModel):
    """What the quantize Job's containers request; limits equal requests for memory."""

    cpu: CPUQuantity | None = None
    """CPU request; absent: 500m."""
    memory: ByteQuantity | None = None
    """Memory request and limit; absent: estimated from the model."""
