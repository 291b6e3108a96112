"""What pods may be labelled with, and where they may be sent, as the API server has it."""

from typing import Any

import pytest
from pydantic import ValidationError

from qmodel.api.placement import Toleration
from qmodel.api.serving import PodTemplate

POD_TERM = {
    "topologyKey": "topology.kubernetes.io/zone",
    "labelSelector": {
        "matchLabels": {"example.com/app": "a"},
        "matchExpressions": [{"key": "b", "operator": "DoesNotExist"}],
    },
    "namespaceSelector": {},
    "mismatchLabelKeys": ["pod-template-hash"],
}
GOOD: list[dict[str, Any]] = [
    {"labels": {"team": "", "example.com/Team_1.a": "R-D", "a" * 63: "b" * 63}},
    {"labels": {f"{'a' * 253}/b": "c"}},
    {"annotations": {"Example.com/note": "R&D team, anything goes"}},
    {"nodeSelector": {"kubernetes.io/hostname": "node-1.example.com"}},
    {"affinity": {}},
    {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [POD_TERM]}}},
    {
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 100, "podAffinityTerm": POD_TERM}
                ]
            }
        }
    },
]
BAD_LABELS: list[dict[str, str]] = [
    {"team": "R&D team"},
    {"team": "a" * 64},
    {"team": "-a"},
    {"the team": "a"},
    {"": "a"},
    {"a" * 64: "b"},
    {"a/b/c": "d"},
    {"/a": "b"},
    {"a..b/c": "d"},
    {"Example.com/a": "b"},
    {f"{'a' * 254}/b": "c"},
]
BAD_REQUIREMENTS: list[dict[str, Any]] = [
    {"key": "a", "operator": "In"},
    {"key": "a", "operator": "NotIn", "values": []},
    {"key": "a", "operator": "Exists", "values": ["b"]},
    {"key": "a", "operator": "Gt", "values": ["1", "2"]},
    {"key": "a", "operator": "Lt", "values": ["many"]},
    {"key": "a", "operator": "Equal", "values": ["b"]},
    {"key": "a b", "operator": "Exists"},
    {"operator": "Exists"},
]
BAD_AFFINITIES: list[dict[str, Any]] = [
    {"nodeAffinity": {"anything": [{"goes": 1}]}},
    {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
    {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}},
    {
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "a", "matchLabelKeys": ["b"]}
            ]
        }
    },
    {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 101, "podAffinityTerm": POD_TERM}
            ]
        }
    },
]


def required(requirement: dict[str, Any]) -> dict[str, Any]:
    term = {"matchExpressions": [requirement]}
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}
        }
    }


@pytest.mark.parametrize("template", GOOD)
def test_what_pods_may_have_is_kept_as_it_was_written(template: dict[str, Any]) -> None:
    assert PodTemplate.model_validate(template).to_wire() == template


@pytest.mark.parametrize("labels", BAD_LABELS)
@pytest.mark.parametrize("field", ["labels", "nodeSelector"])
def test_labels_that_no_pod_may_have_are_refused(field: str, labels: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        PodTemplate.model_validate({field: labels})


def test_the_key_that_is_refused_is_named() -> None:
    with pytest.raises(ValidationError, match="'the team': a key must be a name of at most 63"):
        PodTemplate.model_validate({"labels": {"team": "a", "the team": "a"}})


@pytest.mark.parametrize("affinity", [*BAD_AFFINITIES, *map(required, BAD_REQUIREMENTS)])
def test_affinity_that_kubernetes_would_refuse_is_refused(affinity: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PodTemplate.model_validate({"affinity": affinity})


@pytest.mark.parametrize(
    ("toleration", "said"),
    [
        ({"effect": "NoSchedule"}, "without a key, operator must be Exists"),
        ({"key": "a", "operator": "Exists", "value": "b"}, "operator Exists takes no value"),
        ({"key": "a", "value": "b", "tolerationSeconds": 1}, "needs effect NoExecute"),
        ({"key": "a", "operator": "Equals"}, "'Exists' or 'Equal'"),
        ({"key": "a", "effect": "Never"}, "'NoSchedule', 'PreferNoSchedule' or 'NoExecute'"),
    ],
)
def test_tolerations_that_kubernetes_would_refuse_are_refused(
    toleration: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        Toleration.model_validate(toleration)


def test_every_taint_may_be_tolerated() -> None:
    found = Toleration.model_validate({"operator": "Exists"})
    assert found.to_wire() == {"operator": "Exists"}
