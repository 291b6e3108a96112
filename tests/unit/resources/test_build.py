from dataclasses import replace
from typing import Any

import pytest
import yaml

from qmodel.api.serving import PodTemplate
from qmodel.naming import DESIRED_ANNOTATION, VERSION_ANNOTATION
from qmodel.planner.wishes import WantDeployment
from qmodel.resources.build import build
from qmodel.resources.metadata import desired_hash
from unit.resources.wishes import (
    DATA,
    FETCH,
    INSPECT,
    MODEL,
    QUANTIZE,
    ROLLOUT,
    VERSION,
    WISHES,
    built,
)

WORKLOADS = [name for name in WISHES if "job" in name or "deployment" in name]


def pod_of(name: str) -> dict[str, Any]:
    pod: dict[str, Any] = built(name)["spec"]["template"]["spec"]
    return pod


def containers_of(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("name", list(WISHES))
def test_objects_are_as_reviewed(name: str) -> None:
    assert built(name) == yaml.safe_load((DATA / f"{name}.yaml").read_text())


def test_every_reviewed_object_is_built() -> None:
    assert {path.stem for path in DATA.glob("*.yaml")} == set(WISHES)


@pytest.mark.parametrize("name", WORKLOADS)
def test_pods_are_restricted_and_have_no_token(name: str) -> None:
    pod = pod_of(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers_of(pod):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("name", WORKLOADS)
def test_memory_is_reserved_in_full(name: str) -> None:
    for container in containers_of(pod_of(name)):
        resources = container["resources"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_memory_that_ranks_share_is_counted_in_what_the_pod_reserves() -> None:
    pod = pod_of("quantize-job-on-gpus")
    (shared,) = (volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "shm")
    assert shared == {"medium": "Memory", "sizeLimit": "1536Mi"}
    assert pod["containers"][0]["resources"]["limits"]["memory"] == "8Gi"


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_mount_has_its_volume(name: str) -> None:
    pod = pod_of(name)
    volumes = [volume["name"] for volume in pod["volumes"]]
    mounted = {m["name"] for c in containers_of(pod) for m in c["volumeMounts"]}
    assert len(volumes) == len(set(volumes))
    assert mounted == set(volumes)


@pytest.mark.parametrize("name", WORKLOADS)
def test_only_what_computes_with_the_model_holds_a_gpu(name: str) -> None:
    holders = [
        container["name"]
        for container in containers_of(pod_of(name))
        if "nvidia.com/gpu" in container["resources"]["limits"]
    ]
    expected = {
        "quantize-job-on-gpus": ["quantize"],
        "measure-job-on-gpu": ["measure"],
        "deployment-on-gpu": ["server"],
    }
    assert holders == expected.get(name, [])


@pytest.mark.parametrize("name", WORKLOADS)
def test_only_inspect_and_fetch_see_token_and_source(name: str) -> None:
    volumes = {volume["name"] for volume in pod_of(name)["volumes"]}
    seen = volumes & {"credentials", "certificates", "source"}
    given = {"inspect-job": {"credentials", "certificates"}, "fetch-job": {"source"}}
    assert seen == given.get(name, set())


def test_labels_of_the_user_do_not_replace_ours() -> None:
    template = built("deployment-on-gpu")["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["labels"]["app.kubernetes.io/component"] == "server"


def required(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the terms of the pods that a pod must run beside."""
    affinity = pod.get("affinity", {}).get("podAffinity", {})
    found: list[dict[str, Any]] = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", [])
    return found


@pytest.mark.parametrize("name", WORKLOADS)
def test_pods_that_mount_a_volume_of_one_node_share_it(name: str) -> None:
    terms = required(pod_of(name))
    if name == "inspect-job":
        assert terms == []
        return
    (term,) = terms
    labels = built(name)["spec"]["template"]["metadata"]["labels"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"]["matchLabels"].items() <= labels.items()
    (other_than,) = term["labelSelector"]["matchExpressions"]
    assert labels[other_than["key"]] not in other_than["values"]


def test_pods_share_no_node_where_the_volume_is_on_many() -> None:
    rollout = ROLLOUT.model_copy(update={"on_one_node": False})
    deployment = WantDeployment("smollm2-0a1b2c3d4e", rollout, 1)
    for want in (replace(FETCH, on_one_node=False), deployment):
        made = build(MODEL, want, VERSION)
        assert required(made["spec"]["template"]["spec"]) == []
    assert desired_hash(deployment) != desired_hash(WISHES["deployment"])


def test_the_affinity_of_the_user_is_kept() -> None:
    mine = {"labelSelector": {}, "topologyKey": "rack"}
    asked = {
        "nodeAffinity": {},
        "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [mine]},
    }
    want = replace(QUANTIZE, pod_template=PodTemplate.model_validate({"affinity": asked}))
    pod = build(MODEL, want, VERSION)["spec"]["template"]["spec"]
    assert pod["affinity"]["nodeAffinity"] == {}
    first, ours = required(pod)
    assert first == mine
    assert ours["topologyKey"] == "kubernetes.io/hostname"
    assert required({"affinity": asked}) == [mine]


def test_the_service_selects_the_servers_of_its_revision() -> None:
    selector = built("service")["spec"]["selector"].items()
    deployment = built("deployment")["spec"]
    assert selector == deployment["selector"]["matchLabels"].items()
    assert selector <= deployment["template"]["metadata"]["labels"].items()


def test_a_new_operator_changes_nothing_but_its_note() -> None:
    want = WISHES["deployment"]
    old = build(MODEL, want, "0.1.0")
    new = build(MODEL, want, "0.2.0")
    assert new["metadata"]["annotations"].pop(VERSION_ANNOTATION) == "0.2.0"
    assert old["metadata"]["annotations"].pop(VERSION_ANNOTATION) == "0.1.0"
    assert new == old


def test_variables_in_another_order_restart_no_server() -> None:
    """The API server gives a status back with its names in order."""

    def deployment(variables: dict[str, str]) -> dict[str, Any]:
        rollout = ROLLOUT.model_copy(update={"engine_env": variables})
        want = WantDeployment("smollm2-0123456789", rollout, 1)
        made: dict[str, Any] = build(MODEL, want, VERSION)
        return made

    variables = {"TMPDIR": "/tmp", "HOME": "/"}
    assert deployment(variables) == deployment(dict(sorted(variables.items())))


def test_another_wish_has_another_hash() -> None:
    def wished(replicas: int) -> str:
        want = WantDeployment("smollm2-0123456789", ROLLOUT, replicas)
        annotations: dict[str, str] = build(MODEL, want, VERSION)["metadata"]["annotations"]
        return annotations[DESIRED_ANNOTATION]

    assert wished(1) == wished(1)
    assert wished(1) != wished(2)


def test_a_task_is_one_argument_that_no_shell_reads() -> None:
    hostile = replace(INSPECT, containers=(replace(INSPECT.containers[0], cpu="1"),))
    container = build(MODEL, hostile, VERSION)["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["python", "-m", "qmodel.worker"]
    assert container["args"][0] == "--task"
    assert len(container["args"]) == 2
