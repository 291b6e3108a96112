"""GPUs that the node only claims to have: who asks for them, and when Auto takes one."""

import sys
from collections.abc import Iterator

import pytest

from cluster import gpus
from demo.commands import Commands
from e2e.kube import Kube, Object
from e2e.models import CORE, SMOLLM2_GGUF, TINY, Models, from_hub, spec
from e2e.test_samples import ON_A_GPU, SAMPLES
from model.repositories import READER

GPU = gpus.RESOURCE
L4 = {"nvidia.com/gpu.product": "NVIDIA-L4"}
H100 = {"nvidia.com/gpu.product": "NVIDIA-H100"}
CLUSTER = [sys.executable, "tests/cluster"]
TOLERATION = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}
KWOK_LABEL = "type"
"""kwok's nodes carry it, with the value `kwok`; they run nothing."""


@pytest.fixture(scope="module")
def node(kube: Kube) -> Iterator[str]:
    """Let a real node claim four GPUs for the time of this module; return its name."""
    names = [
        found["metadata"]["name"]
        for found in kube.items(f"{CORE}/nodes")
        if found["metadata"]["labels"].get(KWOK_LABEL) != "kwok"
    ]
    gpus.pretend(names[0], gpus.Gpus(4, "NVIDIA-L4", 23034))
    yield names[0]
    gpus.pretend(names[0], gpus.Gpus(0, "", 0))


def asked_by(pod: Object) -> dict[str, str]:
    """Return the GPUs of each container that asks for any."""
    return {
        container["name"]: container["resources"]["limits"][GPU]
        for container in [*pod.get("initContainers", []), *pod["containers"]]
        if GPU in container["resources"].get("limits", {})
    }


def template_of(found: Object) -> Object:
    pod: Object = found["spec"]["template"]["spec"]
    return pod


def test_only_pods_that_compute_on_it_ask_for_the_gpu(models: Models, node: str) -> None:
    name = "on-gpu"
    asked = {"type": "GPU", "count": 2, "nodeSelector": L4, "tolerations": [TOLERATION]}
    models.apply(name, spec(from_hub(TINY), "Q4_0", accelerator=asked))
    status = models.wait_ready(name)
    for step in ("inspect", "fetch", "quantize"):
        (job,) = models.jobs(name, step)
        assert asked_by(template_of(job)) == {}
    assert status["accelerator"]["count"] == 2
    for step in ("inspect", "fetch", "quantize", "measure", "server"):
        (pod,) = models.pods(name, step)
        mounts_the_volume = step != "inspect"
        selector = pod["spec"].get("nodeSelector", {})
        assert (L4.items() <= selector.items()) == mounts_the_volume, step
        assert (TOLERATION in pod["spec"]["tolerations"]) == mounts_the_volume, step
    (measure,) = models.jobs(name, "measure")
    assert asked_by(template_of(measure)) == {"measure": "2"}
    (deployment,) = models.deployments(name)
    assert asked_by(template_of(deployment)) == {"server": "2"}
    words = template_of(deployment)["containers"][0]["command"]
    assert words[words.index("--n-gpu-layers") + 1] == "999"
    assert status["accelerator"]["type"] == "GPU"
    assert status["acceleratorSummary"] == f"2 x {GPU}"
    (pod,) = models.pods(name)
    assert pod["spec"]["nodeName"] == node
    models.delete(name)


def test_auto_takes_a_gpu_that_the_estimate_fits(models: Models, node: str) -> None:
    del node  # it has GPUs
    models.apply("auto", spec(from_hub(SMOLLM2_GGUF), None, accelerator={"type": "Auto"}))
    status = models.wait_status("auto", lambda found: "accelerator" in found, 120, "decided")
    assert status["accelerator"]["type"] == "GPU"
    assert "23034 MiB" in status["accelerator"]["reason"]
    models.delete("auto")


def test_auto_takes_the_cpu_where_the_gpu_is_too_small(models: Models, node: str) -> None:
    gpus.pretend(node, gpus.Gpus(4, "NVIDIA-TINY", 16))
    models.apply("auto-small", spec(from_hub(SMOLLM2_GGUF), None, accelerator={"type": "Auto"}))
    status = models.wait_status("auto-small", lambda found: "accelerator" in found, 120, "decided")
    gpus.pretend(node, gpus.Gpus(4, "NVIDIA-L4", 23034))
    assert status["accelerator"]["type"] == "CPU"
    assert "16 MiB" in status["accelerator"]["reason"]
    status = models.wait_ready("auto-small")
    (deployment,) = models.deployments("auto-small")
    assert asked_by(template_of(deployment)) == {}
    models.delete("auto-small")


def test_auto_keeps_to_the_gpus_that_the_estimate_fits(
    models: Models, commands: Commands, node: str
) -> None:
    """A node of kwok has what the real one has not; its taint keeps the pods away."""
    gpus.pretend(node, gpus.Gpus(4, "NVIDIA-TINY", 16))
    try:
        # By a process of its own, which may leave the controller running behind it.
        offered = ["--gpu=8", "--gpu-product=NVIDIA-H100", "--gpu-memory=81559"]
        commands.run([*CLUSTER, "kwok-up", *offered])
        models.apply("auto-large", spec(from_hub(SMOLLM2_GGUF), None, accelerator={"type": "Auto"}))
        models.wait_for("auto-large", "Inspected", "True")
        chosen = models.get("auto-large")["status"]["accelerator"]
        assert (chosen["type"], chosen["count"]) == ("GPU", 1)
        assert "81559 MiB" in chosen["reason"]
        (fetch,) = models.jobs("auto-large", "fetch")
        assert template_of(fetch)["nodeSelector"].items() >= H100.items()
    finally:
        models.delete("auto-large")
        commands.run([*CLUSTER, "kwok-down"])
        gpus.pretend(node, gpus.Gpus(4, "NVIDIA-L4", 23034))


def test_the_gpu_sample_becomes_ready(models: Models, node: str) -> None:
    del node  # it has GPUs
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"token": READER}}
    models.kube.apply(models.path(CORE, "secrets", "hub-token"), secret)
    (name,) = models.apply_yaml((SAMPLES / ON_A_GPU).read_text())
    # What stands in for the large model of that name is random: four bits change its mind.
    models.edit(name, qualityGate={"onFailure": "Warn"})
    status = models.wait_ready(name)
    assert status["accelerator"]["count"] == 1
    assert status["sizing"]["contextLength"] == 8192
    models.delete(name)
