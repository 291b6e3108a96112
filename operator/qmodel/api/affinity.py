"""`affinity` as in a pod, field by field: what Kubernetes would refuse is refused at once."""

import re
from typing import Annotated, Literal, Self, TypeVar

from pydantic import ConfigDict, Field, model_validator

from qmodel.api.base import ApiModel, cel, rules
from qmodel.api.labels import LabelKey, Labels, LabelValue
from qmodel.api.source import ResourceName

_T = TypeVar("_T")
_ATOMIC = {"x-kubernetes-list-type": "atomic"}
_NUMBER = "^[0-9]{1,18}$"
_VALUES_MESSAGE = (
    "operators In and NotIn need values, Gt and Lt one that is a whole number, and Exists and"
    " DoesNotExist take none"
)
_KEYS_MESSAGE = "matchLabelKeys and mismatchLabelKeys need labelSelector"

_VALUES_RULE = rules(
    cel(
        "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0"
        " : self.operator in ['Gt', 'Lt'] ? has(self.values) && self.values.size() == 1"
        f" && self.values[0].matches('{_NUMBER}')"
        " : !has(self.values) || self.values.size() == 0",
        _VALUES_MESSAGE,
    )
)

Terms = Annotated[list[_T], Field(max_length=16, json_schema_extra=_ATOMIC)]
"""A list that is short enough for the API server to bound the work of the rules in it."""

Values = Annotated[list[LabelValue], Field(max_length=256, json_schema_extra=_ATOMIC)]
Weight = Annotated[int, Field(ge=1, le=100)]


def _check_values(operator: str, values: list[str]) -> None:
    """Raise ValueError where an operator has not the values that it needs."""
    if operator in ("In", "NotIn"):
        fits = bool(values)
    elif operator in ("Gt", "Lt"):
        fits = len(values) == 1 and re.match(_NUMBER, values[0]) is not None
    else:
        fits = not values
    if not fits:
        message = f"operator {operator} with {len(values)} values: {_VALUES_MESSAGE}"
        raise ValueError(message)


class LabelRequirement(ApiModel):
    """What a label of a pod or namespace must be."""

    model_config = ConfigDict(json_schema_extra=_VALUES_RULE)

    key: LabelKey
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How it is compared with `values`."""
    values: Values | None = None
    """Values of In and NotIn."""

    @model_validator(mode="after")
    def _operator_has_its_values(self) -> Self:
        _check_values(self.operator, self.values or [])
        return self


class LabelSelector(ApiModel):
    """Labels of pods or namespaces; empty: all of them."""

    match_labels: Labels | None = None
    """Labels that must be there with these values."""
    match_expressions: Terms[LabelRequirement] | None = None
    """Requirements that must all be met."""


class NodeRequirement(ApiModel):
    """What a label of a node must be."""

    model_config = ConfigDict(json_schema_extra=_VALUES_RULE)

    key: LabelKey
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """How it is compared with `values`."""
    values: Values | None = None
    """Values of In and NotIn; the one number of Gt and Lt."""

    @model_validator(mode="after")
    def _operator_has_its_values(self) -> Self:
        _check_values(self.operator, self.values or [])
        return self


class NodeNameRequirement(ApiModel):
    """What the name of a node must be."""

    key: Literal["metadata.name"]
    """The only field that nodes are chosen by."""
    operator: Literal["In", "NotIn"]
    """Whether it must be the value or must not be."""
    values: Annotated[
        list[ResourceName], Field(min_length=1, max_length=1, json_schema_extra=_ATOMIC)
    ]
    """One name."""


class NodeTerm(ApiModel):
    """Requirements of a node that must all be met."""

    match_expressions: Terms[NodeRequirement] | None = None
    """Requirements of its labels."""
    match_fields: Terms[NodeNameRequirement] | None = None
    """Requirements of its name."""


class RequiredNode(ApiModel):
    """Terms of which a node must meet one."""

    node_selector_terms: Annotated[
        list[NodeTerm], Field(min_length=1, max_length=16, json_schema_extra=_ATOMIC)
    ]
    """The terms."""


class PreferredNode(ApiModel):
    """A term that counts for a node."""

    weight: Weight
    """How much it counts."""
    preference: NodeTerm
    """The term."""


class NodeAffinity(ApiModel):
    """Nodes that the pods must or should run on."""

    required_during_scheduling_ignored_during_execution: RequiredNode | None = None
    """Nodes that they must run on."""
    preferred_during_scheduling_ignored_during_execution: Terms[PreferredNode] | None = None
    """Nodes that they should run on."""


class PodTerm(ApiModel):
    """Pods, and how near is near."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.labelSelector)"
                " || !(has(self.matchLabelKeys) || has(self.mismatchLabelKeys))",
                _KEYS_MESSAGE,
            )
        )
    )

    topology_key: LabelKey
    """Label that nodes of one place share."""
    label_selector: LabelSelector | None = None
    """The pods; absent: none."""
    namespaces: Terms[ResourceName] | None = None
    """Namespaces of the pods; absent, without `namespaceSelector`: the model's."""
    namespace_selector: LabelSelector | None = None
    """Further namespaces, by their labels."""
    match_label_keys: Terms[LabelKey] | None = None
    """Labels in which the pods must equal the placed one."""
    mismatch_label_keys: Terms[LabelKey] | None = None
    """Labels in which the pods must differ from the placed one."""

    @model_validator(mode="after")
    def _keys_belong_to_a_selector(self) -> Self:
        keyed = self.match_label_keys is not None or self.mismatch_label_keys is not None
        if keyed and self.label_selector is None:
            raise ValueError(_KEYS_MESSAGE)
        return self


class PreferredPods(ApiModel):
    """Pods whose nearness counts."""

    weight: Weight
    """How much it counts."""
    pod_affinity_term: PodTerm
    """The pods."""


class PodAffinity(ApiModel):
    """Other pods that the pods must or should be near to, or far from."""

    required_during_scheduling_ignored_during_execution: Terms[PodTerm] | None = None
    """Pods where it must be so."""
    preferred_during_scheduling_ignored_during_execution: Terms[PreferredPods] | None = None
    """Pods where it should be so."""


class Affinity(ApiModel):
    """Affinity as in a pod."""

    node_affinity: NodeAffinity | None = None
    """Nodes that the pods run on."""
    pod_affinity: PodAffinity | None = None
    """Pods that they are near to."""
    pod_anti_affinity: PodAffinity | None = None
    """Pods that they are far from."""
