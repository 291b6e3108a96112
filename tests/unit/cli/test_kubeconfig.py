from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from qmodel.cli.errors import AccessError
from qmodel.cli.kubeconfig import Target, resolve

CLUSTERS = ("here", "there")


def kubeconfig(path: Path, **more: Any) -> str:
    """Write two contexts, of which only `there` names a namespace."""
    contexts: list[dict[str, Any]] = [
        {"name": name, "context": {"cluster": name, "user": "me"}} for name in CLUSTERS
    ]
    contexts[1]["context"]["namespace"] = "theirs"
    content = {
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}"}} for name in CLUSTERS],
        "users": [{"name": "me", "user": {"token": "t"}}],
        "contexts": contexts,
    }
    path.write_text(yaml.safe_dump(content | more))
    return str(path)


@pytest.fixture
def named(tmp_path: Path) -> str:
    return kubeconfig(tmp_path / "config", **{"current-context": "here"})


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds the kubeconfig of whoever runs it, or a cluster around it."""
    monkeypatch.setenv("KUBECONFIG", "/gone/config")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.mark.parametrize(
    ("asked", "host", "namespace"),
    [
        ({}, "https://here", "default"),
        ({"context": "there"}, "https://there", "theirs"),
        ({"context": "there", "namespace": "mine"}, "https://there", "mine"),
    ],
)
def test_the_namespace_is_that_of_the_chosen_context(
    named: str, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], host: str, namespace: str
) -> None:
    for variable, target in ((named, Target(**asked)), ("/gone", Target(named, **asked))):
        monkeypatch.setenv("KUBECONFIG", variable)
        configuration, found = resolve(target)
        assert (configuration.host, found) == (host, namespace)
        assert configuration.api_key == {"BearerToken": "Bearer t"}


def test_an_unknown_context_is_told_with_those_there_are(named: str) -> None:
    with pytest.raises(AccessError) as refused:
        resolve(Target(named, "x"))
    assert str(refused.value) == f"no cluster: no context x in {named}; there are: here, there"


def test_without_a_current_context_one_has_to_be_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "config")
    with pytest.raises(AccessError, match=r"no current context in .*there are: here, there$"):
        resolve(Target(path))
    assert resolve(Target(path, "there"))[1] == "theirs"


def test_several_files_are_one(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    names = [{"name": "third", "context": {"cluster": "here", "namespace": "third"}}]
    other.write_text(yaml.safe_dump({"contexts": names}))
    monkeypatch.setenv("KUBECONFIG", f"{named}:/gone/config:{other}")
    assert resolve(Target(context="third"))[1] == "third"


@pytest.mark.parametrize("text", [None, "", "foo: [", "hello", "\0", "kind: Config\n"])
def test_a_kubeconfig_that_cannot_be_used_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(path))
    for target in (Target(), Target(kubeconfig=str(path))):
        with pytest.raises(AccessError, match=rf"^no cluster: [^\n]*{path}[^\n]*$"):
            resolve(target)


def test_a_pods_own_cluster_is_taken_only_if_none_was_named(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_pod(client_configuration: client.Configuration) -> None:
        client_configuration.host = "https://own"

    monkeypatch.setattr(config, "load_incluster_config", in_pod)
    configuration, namespace = resolve(Target())
    assert (configuration.host, namespace) == ("https://own", "default")
    with pytest.raises(AccessError, match="no context x"):
        resolve(Target(named, "x"))
