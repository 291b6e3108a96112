"""What the demo takes for its own in a cluster that others use too."""

import json
from typing import Any

import pytest

from cluster import local
from demo import marks
from demo.commands import Commands, DemoError


class Cluster(Commands):
    """A cluster of someone's: operators by NAMESPACE/NAME with the labels of their pods."""

    def __init__(
        self, operators: dict[str, dict[str, str]], namespaces: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self.operators = operators
        self.namespaces = namespaces
        self.created: list[Any] = []
        self.deleted: list[str] = []

    def kubectl(self, *words: str, stdin: str = "") -> str:
        if words[:2] == ("get", "deployments"):
            return json.dumps({"items": [_deployment(*each) for each in self.operators.items()]})
        if words == ("get", "namespaces", "-l", marks.SELECTOR, "-o=name"):
            return "".join(f"namespace/{name}\n" for name in self.namespaces)
        if words[0] == "delete":
            self.deleted += words[1:]
            return ""
        if words[:2] == ("get", "namespace"):
            return f"namespace/{words[2]}\n" if words[2] in self.namespaces else ""
        assert words == ("create", "-f", "-")
        self.created.append(json.loads(stdin))
        return ""


def _deployment(place: str, labels: dict[str, str]) -> Any:
    namespace, _, name = place.partition("/")
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"template": {"metadata": {"labels": labels}}},
    }


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the cluster be a person's own."""
    monkeypatch.setattr(local, "exists", lambda: False)


@pytest.mark.usefixtures("elsewhere")
def test_an_operator_that_somebody_installed_is_not_replaced() -> None:
    cluster = Cluster({"qmodel-system/quantized-model-operator": {"team": "ml"}})
    with pytest.raises(DemoError, match=r"\(qmodel-system/quantized-model-operator\)"):
        marks.refuse_other_operator(cluster)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("operators", [{}, {"qmodel-system/quantized-model-operator": marks.MARK}])
def test_no_operator_and_the_demos_own_are_no_hindrance(
    operators: dict[str, dict[str, str]],
) -> None:
    marks.refuse_other_operator(Cluster(operators))


def test_in_the_cluster_of_this_machine_all_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "exists", lambda: True)
    marks.refuse_other_operator(Cluster({"qmodel-system/quantized-model-operator": {}}))


def test_a_namespace_that_was_there_is_not_marked_for_removal() -> None:
    cluster = Cluster({}, namespaces=("demo",))
    marks.ensure_namespace(cluster, "demo")
    assert cluster.created == []


def test_a_namespace_that_the_demo_makes_is_marked() -> None:
    cluster = Cluster({})
    marks.ensure_namespace(cluster, "demo")
    (namespace,) = cluster.created
    assert namespace["metadata"] == {"name": "demo", "labels": marks.MARK}


def test_namespaces_are_removed_by_their_mark() -> None:
    cluster = Cluster({}, namespaces=("demo", "qmodel-demo"))
    assert marks.remove_namespaces(cluster) == "demo and qmodel-demo"
    assert cluster.deleted == ["namespace/demo", "namespace/qmodel-demo"]


def test_where_there_is_none_nothing_is_deleted() -> None:
    cluster = Cluster({})
    assert marks.remove_namespaces(cluster) == ""
    assert cluster.deleted == []
