"""Every child that is built is taken by the API server as it is, and by a restricted namespace."""

from typing import Any

import pytest
import yaml

from cluster import target
from unit.resources.wishes import WISHES, built

NAMESPACE = "qmodel-test-restricted"


@pytest.fixture(scope="module", autouse=True)
def _namespace() -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    document = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": labels},
    }
    apply(document, dry_run=False)


def apply(document: dict[str, Any], *, dry_run: bool = True) -> str:
    """Apply as the operator does; fields that the API server does not know are an error."""
    words = ["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"]
    words += ["--dry-run=server"] if dry_run else []
    return target.kubectl(words, stdin=yaml.safe_dump(document))


def placed(name: str) -> dict[str, Any]:
    document = built(name)
    document["metadata"]["namespace"] = NAMESPACE
    return document


@pytest.mark.parametrize("name", list(WISHES))
def test_every_child_is_taken_as_it_is(name: str) -> None:
    assert "serverside-applied" in apply(placed(name))


@pytest.mark.parametrize("name", [n for n in WISHES if "job" in n or "deployment" in n])
def test_every_pod_is_let_into_a_restricted_namespace(name: str) -> None:
    template = placed(name)["spec"]["template"]
    template["spec"].pop("priorityClassName", None)  # classes of a cluster that is not this one
    template["spec"].pop("runtimeClassName", None)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": "probe", "namespace": NAMESPACE},
        "spec": template["spec"],
    }
    assert "serverside-applied" in apply(pod)
