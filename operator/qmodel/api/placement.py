"""Where pods may run, and what the quantize Job requests."""

from typing import Annotated

from pydantic import Field

from qmodel.api.base import ApiModel
from qmodel.api.quantities import ByteQuantity, CPUQuantity


class Toleration(ApiModel):
    """A toleration as in a pod."""

    key: Annotated[str, Field(max_length=317)] | None = None
    """Taint key; absent with operator Exists: every taint."""
    operator: Annotated[str, Field(json_schema_extra={"enum": ["Exists", "Equal"]})] = "Equal"
    """Exists or Equal."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Taint value."""
    effect: (
        Annotated[
            str,
            Field(json_schema_extra={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]}),
        ]
        | None
    ) = None
    """Taint effect; absent: every effect."""
    toleration_seconds: int | None = None
    """How long a NoExecute taint is tolerated, in seconds."""


NodeSelector = Annotated[
    dict[str, Annotated[str, Field(max_length=63)]],
    Field(max_length=32),
]
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
