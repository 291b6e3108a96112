"""The operator may do what it does and no more: its rules against the requests that it makes."""

from pathlib import Path

import pytest
import yaml
from api_server import FakeApiServer

from qmodel.cluster.kinds import EVENT, MODEL, NODE, POD, WRITTEN, Kind
from qmodel.cluster.machinery import Machinery
from qmodel.planner.plan import plan
from qmodel.resources.build import build
from qmodel.settings import IMAGE_VARIABLES, parse

RBAC = Path(__file__).parents[3] / "manifests" / "base" / "rbac.yaml"
ROLE = "quantized-model-operator"
Right = tuple[str, str, str]
"""API group, resource and verb."""


def rights(*roles: str) -> set[Right]:
    """Return what these roles allow."""
    documents = yaml.safe_load_all(RBAC.read_text())
    rules = {(d["kind"], d["metadata"]["name"]): d.get("rules", ()) for d in documents}
    return {
        (group, resource, verb)
        for role in roles
        for rule in rules["ClusterRole", role]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def on(kind: Kind, *verbs: str, sub: str = "") -> set[Right]:
    return {(kind.group, kind.plural + sub, verb) for verb in verbs}


@pytest.fixture
def followed() -> set[Right]:
    """Return the kinds that are listed and watched, the models by kopf."""
    settings = parse([], dict.fromkeys(IMAGE_VARIABLES.values(), "image:1"))
    machinery = Machinery(FakeApiServer(), settings, plan, build)  # type: ignore[arg-type]
    kinds = {informer.kind for informer in (*machinery._others, *machinery._models)}
    return {right for kind in kinds for right in on(kind, "list", "watch")}


def test_the_rules_allow_what_is_asked_for_and_nothing_else(followed: set[Right]) -> None:
    needed = followed | on(MODEL, "patch", sub="/status") | on(POD, "get", sub="/log")
    needed |= on(EVENT, "create")
    for kind in WRITTEN.values():
        needed |= on(kind, "create", "get")
        needed |= on(kind, "delete")  # to give it an owner, too
        if kind.name != "Job":
            needed |= on(kind, "patch")
    assert rights(ROLE, f"{ROLE}-nodes") == needed


def test_only_the_nodes_can_be_left_out(followed: set[Right]) -> None:
    assert rights(f"{ROLE}-nodes") == {r for r in followed if r[1] == NODE.plural}
