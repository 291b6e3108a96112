"""Upgrading, uninstalling and reinstalling the chart under a model that serves."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from demo import story
from demo.commands import Commands
from e2e.install import install_operator
from e2e.models import ANSWER, APPS, MODELS, SMOLLM2_GGUF, Models, from_hub, spec
from qmodel.api.base import PLURAL
from qmodel.api.crd import NAME as DEFINITION

NAME = "served-through-it-all"
WAIT = ["--wait", "--timeout", "120s"]
IN_NAMESPACE = ["--namespace", story.OPERATOR_NAMESPACE]
UPGRADE = ["helm", "upgrade", story.RELEASE, story.CHART, "--reuse-values", *IN_NAMESPACE]
UNINSTALL = ["helm", "uninstall", story.RELEASE, *IN_NAMESPACE, *WAIT]
DEFINITION_PATH = f"apis/apiextensions.k8s.io/v1/customresourcedefinitions/{DEFINITION}"
LATER_FIELD = "timeoutSeconds"
"""Of `spec.quantization`."""
OPERATOR = ["--selector=app.kubernetes.io/component=operator", *IN_NAMESPACE]
END_SECONDS = 15
"""Half the grace period; it takes one or two."""


@pytest.fixture(scope="module")
def served(models: Models) -> Iterator[dict[str, Any]]:
    """Apply a model; return its status once it serves."""
    models.apply(NAME, spec(from_hub(SMOLLM2_GGUF), None))
    yield models.wait_ready(NAME)
    models.delete(NAME)


def identities(models: Models) -> set[str]:
    """Return the identities of a model's Jobs, Deployment and server pods."""
    found = [*models.jobs(NAME), *models.deployments(NAME), *models.pods(NAME)]
    return {each["metadata"]["uid"] for each in found}


def test_an_upgrade_restarts_no_server(
    models: Models, commands: Commands, references: dict[str, str], served: dict[str, Any]
) -> None:
    """Not even one whose image the new version names otherwise: what runs is kept, and grows."""
    before = identities(models)
    newer = "images.llamacpp.tag=newer,images.llamacppWorker.tag=newer"
    commands.run([*UPGRADE, "--set", f"verbose=true,{newer}", *WAIT])
    assert _operator_arguments(models) == ["--verbose"]
    models.edit(NAME, serving={"replicas": 2})
    models.wait_ready(NAME, 120)
    assert before < identities(models)
    servers = models.pods(NAME)
    assert len(servers) == 2
    assert {each["spec"]["containers"][0]["image"] for each in servers} == {references["llamacpp"]}
    assert models.get(NAME)["status"]["artifact"] == served["artifact"]


def test_an_upgrade_brings_the_definition_along(
    models: Models, commands: Commands, served: dict[str, Any]
) -> None:
    """One of an older version, which lacks a field."""
    del served  # it serves
    before = identities(models)
    kept = models.kube.call("GET", DEFINITION_PATH)
    models.kube.apply(DEFINITION_PATH, _without_the_later_field(kept), "helm")
    assert models.kube.call("GET", DEFINITION_PATH)["spec"] != kept["spec"]
    commands.run([*UPGRADE, *WAIT])
    assert models.kube.call("GET", DEFINITION_PATH)["spec"] == kept["spec"]
    assert identities(models) == before


def _without_the_later_field(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the definition as helm applied it when it was older."""
    applied = {
        **{key: definition[key] for key in ("apiVersion", "kind")},
        "metadata": {key: definition["metadata"][key] for key in ("annotations", "labels")},
        "spec": deepcopy(definition["spec"]),
    }
    schema = applied["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["quantization"]["properties"][LATER_FIELD]
    return applied


def test_an_operator_that_is_told_to_end_while_it_starts_ends(
    commands: Commands, operator: None
) -> None:
    """Its process hears nothing yet: a first process that does not say so is not even killed."""
    del operator  # it is installed
    commands.kubectl("scale", "deployments", *OPERATOR, "--replicas=0")
    commands.kubectl("wait", "pods", *OPERATOR, "--for=delete", "--timeout=60s")
    commands.kubectl("scale", "deployments", *OPERATOR, "--replicas=1")
    has_a_pod = "--for=jsonpath={.status.replicas}=1"
    commands.kubectl("wait", "deployments", *OPERATOR, has_a_pod, "--timeout=60s")
    commands.kubectl("delete", "pods", *OPERATOR, f"--timeout={END_SECONDS}s")
    commands.kubectl("wait", "pods", *OPERATOR, "--for=condition=Ready", "--timeout=60s")


def test_uninstalling_keeps_definition_and_servers_and_reinstalling_goes_on(
    models: Models,
    commands: Commands,
    references: dict[str, str],
    endpoint: str,
    served: dict[str, Any],
) -> None:
    before = {each["metadata"]["uid"] for each in models.jobs(NAME)}
    try:
        commands.run(UNINSTALL)
        definition = models.kube.call("GET", DEFINITION_PATH)
        assert "deletionTimestamp" not in definition["metadata"]
        assert ANSWER in models.chat(NAME)
        models.edit(NAME, serving={"contextLength": 512})
    finally:
        install_operator(commands, references, endpoint)
    status = models.wait_ready(NAME)
    assert status["sizing"]["contextLength"] == 512
    assert status["artifact"] == served["artifact"]
    assert {each["metadata"]["uid"] for each in models.jobs(NAME)} == before
    assert ANSWER in models.chat(NAME)


def test_a_model_goes_without_an_operator(
    models: Models,
    commands: Commands,
    references: dict[str, str],
    endpoint: str,
    served: dict[str, Any],
) -> None:
    del served  # it serves
    (deployment,) = models.deployments(NAME)
    try:
        commands.run(UNINSTALL)
        models.delete(NAME)
        models.wait_gone(MODELS, PLURAL, NAME, 10)
        models.wait_gone(APPS, "deployments", deployment["metadata"]["name"], 30)
    finally:
        install_operator(commands, references, endpoint)


def test_two_operators_of_one_namespace_need_no_right_beyond_it(
    models: Models, commands: Commands, references: dict[str, str], endpoint: str, operator: None
) -> None:
    """One of them leads; neither may see nodes. Then it is one for all namespaces again."""
    del operator  # it is installed
    name = "looked-after"
    path = f"{APPS}/namespaces/{story.OPERATOR_NAMESPACE}/deployments/{story.RELEASE}"
    leases = f"apis/coordination.k8s.io/v1/namespaces/{story.OPERATOR_NAMESPACE}/leases"
    limits = f'namespaces=["{models.namespace}"],replicas=2,rbac={{"nodes":false}}'
    try:
        install_operator(commands, references, endpoint, "--set-json", limits)
        assert models.kube.call("GET", path)["status"]["availableReplicas"] == 2
        models.apply(name, spec(from_hub(SMOLLM2_GGUF), None))
        models.wait_for(name, "Fetched", "True", seconds=120)
        holders = [each["spec"].get("holderIdentity") or "" for each in models.kube.items(leases)]
        assert [each for each in holders if each.startswith(story.RELEASE)] != []
        models.delete(name)
        install_operator(commands, references, endpoint)
        assert models.kube.call("GET", path)["spec"]["strategy"] == {"type": "Recreate"}
    except BaseException:
        commands.run([*UNINSTALL, "--ignore-not-found"])
        install_operator(commands, references, endpoint)
        raise


def _operator_arguments(models: Models) -> list[str]:
    path = f"{APPS}/namespaces/{story.OPERATOR_NAMESPACE}/deployments/{story.RELEASE}"
    (container,) = models.kube.call("GET", path)["spec"]["template"]["spec"]["containers"]
    found: list[str] = container.get("args", [])
    return found
