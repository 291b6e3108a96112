"""What goes wrong after a good source: each step's failure is told, bounded and contained."""

from collections.abc import Iterator

import pytest

from demo.commands import Commands
from e2e.hub import HubControl
from e2e.install import install_operator
from e2e.kube import Object
from e2e.memory import use_up, wait_running, wait_said
from e2e.models import (
    APPS,
    CORE,
    READY_SECONDS,
    SMOLLM2_GGUF,
    TINY,
    VERDICT_SECONDS,
    Models,
    attempts,
    condition,
    from_hub,
    spec,
    step_status,
)
from e2e.volumes import make_claim, run_on
from model.repositories import SAMPLE_GGUF
from qmodel.naming import child_name

GGUF = from_hub(SMOLLM2_GGUF)
LITTLE_MEMORY = {"cpu": "100m", "memory": "100Mi"}
ENOUGH_MEMORY = {"cpu": "100m", "memory": "600Mi"}
"""To quantize and to evaluate the tiny model; twice as much is still used up."""
IMPOSSIBLE_GATE = {
    "maxPerplexityRatio": "0.5",
    "maxMeanKLDivergence": "0",
    "minTopTokenAgreement": "1.0",
}
PICKED = "smollm2-1.7b-instruct-q8_0.gguf"
SMALL = "64Mi"
"""Less than one GGUF file of SmolLM2, or than source and artifact of the tiny model."""
BACK_SECONDS = 5
LOADED = "filling every context"
"""What a measurement says once its server has loaded the model, and holds most."""


def quantize(kind: str = "Q4_0", **more: object) -> Object:
    """Return spec.quantization."""
    return {"method": "GGUF", "gguf": {"type": kind}, "resources": {"cpu": "100m"}, **more}


SPECS = {
    "no-room-to-fetch": spec(GGUF, None, storage={"storageClassName": "sized", "size": SMALL}),
    "no-room-to-quantize": spec(from_hub(TINY), storage={"existingClaim": "small"}),
    "below-the-gate": spec(from_hub(TINY), "Q4_0", qualityGate=IMPOSSIBLE_GATE),
    "little-memory": spec(from_hub(TINY), quantization=quantize(resources=LITTLE_MEMORY)),
    "no-such-node": spec(from_hub(TINY), quantization=quantize(nodeSelector={"disk": "none"})),
    "no-gpu": spec(GGUF, None, accelerator={"type": "GPU"}),
    "served": spec(GGUF, None),
    "foreign-service": spec(GGUF, None),
    "foreign-claim": spec(GGUF, None),
}


@pytest.fixture(scope="module")
def applied(models: Models, hub: HubControl) -> Iterator[None]:
    """Apply all models at once; what needs no quantizing is a GGUF file."""
    make_claim(models, "small", SMALL, "sized")
    foreign = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}}
    models.kube.apply(
        models.path(CORE, "services", child_name("foreign-service")), {**foreign, "metadata": {}}
    )
    make_claim(models, child_name("foreign-claim", "volume"), SMALL)
    hub.clear()
    for name, each in SPECS.items():
        models.apply(name, each)
    yield
    for name in SPECS:
        models.delete(name)


@pytest.mark.usefixtures("applied")
def test_a_volume_too_small_for_the_source(models: Models) -> None:
    message = models.refused("no-room-to-fetch", "Fetched", "DiskFull")
    assert "spec.storage.size" in message
    assert "bytes free" in message
    assert attempts(models.jobs("no-room-to-fetch")) == [("fetch", 1), ("inspect", 1)]


@pytest.mark.usefixtures("applied")
def test_a_volume_too_small_for_the_artifact(models: Models) -> None:
    message = models.refused("no-room-to-quantize", "Quantized", "DiskFull")
    assert "bytes free" in message
    assert models.jobs("no-room-to-quantize", "measure") == []
    assert models.deployments("no-room-to-quantize") == []


@pytest.mark.usefixtures("applied")
def test_the_gate_blocks_until_it_is_changed_and_nothing_is_made_anew(models: Models) -> None:
    name = "below-the-gate"
    message = models.refused(name, "Evaluated", "BelowGate")
    assert "at most 0.5" in message
    assert "at least 1.0" in message
    assert "spec.qualityGate" in message
    assert models.jobs(name, "measure") == []
    before = [job["metadata"]["uid"] for job in models.jobs(name, "quantize")]
    models.edit(name, qualityGate={**IMPOSSIBLE_GATE, "onFailure": "Warn"})
    model = models.wait_for(name, "Evaluated", "True", "BelowGateAccepted", 10)
    assert "at most 0.5" in condition(model, "Evaluated")["message"]
    models.wait_ready(name)
    assert [job["metadata"]["uid"] for job in models.jobs(name, "quantize")] == before
    models.delete(name)


@pytest.mark.usefixtures("applied")
def test_too_little_memory_to_quantize_gets_one_larger_try(models: Models) -> None:
    name = "little-memory"
    message = models.refused(name, "Quantized", "OOMKilled")
    assert "100Mi" in message
    assert "200Mi" in message
    assert "spec.quantization.resources.memory" in message
    record = step_status(models.get(name)["status"], "quantize")
    assert (record["attempts"], record["memoryBytes"]) == (2, 200 * 2**20)
    assert record["lastReason"] == "OOMKilled"
    assert models.jobs(name, "measure") == []
    models.edit(name, quantization={"resources": {"memory": "2Gi"}})
    models.wait_for(name, "Quantized", "True")
    models.delete(name)


@pytest.mark.usefixtures("applied")
def test_a_node_that_does_not_exist_is_named(models: Models) -> None:
    message = models.troubled("no-such-node", "Inspected", "Unschedulable")
    assert "node affinity/selector" in message
    models.edit("no-such-node", quantization={"nodeSelector": None})
    models.wait_for("no-such-node", "Inspected", "True", seconds=60)
    models.delete("no-such-node")


@pytest.mark.usefixtures("applied")
def test_a_missing_gpu_is_named(models: Models) -> None:
    name = "no-gpu"
    message = models.troubled(name, "Measured", "Unschedulable")
    assert "nvidia.com/gpu" in message
    assert models.deployments(name) == []
    models.edit(name, accelerator={"type": "CPU"})
    models.wait_ready(name)
    models.delete(name)


@pytest.mark.usefixtures("applied")
@pytest.mark.parametrize(
    ("api", "plural", "suffix"), [(CORE, "services", None), (APPS, "deployments", "revision")]
)
def test_a_deleted_child_is_back_within_seconds(
    models: Models, api: str, plural: str, suffix: str | None
) -> None:
    status = models.wait_ready("served")
    name = child_name("served", *([status["servingRevision"]] if suffix else []))
    path = models.path(api, plural, name)
    before = models.kube.call("GET", path)["metadata"]["uid"]
    models.kube.delete(path)
    models.kube.wait(
        path,
        lambda found: found is not None and found["metadata"]["uid"] != before,
        BACK_SECONDS,
        "back",
    )
    models.wait_ready("served")


@pytest.mark.usefixtures("applied")
def test_a_deleted_job_is_made_again(models: Models) -> None:
    (job,) = models.jobs("served", "measure")
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    models.edit("served", serving={"kvCacheType": "Q8_0"})
    models.wait_for("served", "Measured", "Unknown", "Measuring", 30)
    (fresh,) = [j for j in models.jobs("served", "measure") if j["metadata"]["uid"] != uid]
    assert fresh["metadata"]["name"] != name
    path = models.path("apis/batch/v1", "jobs", fresh["metadata"]["name"])
    models.kube.delete(path)
    models.kube.wait(
        path,
        lambda found: found is not None and found["metadata"]["uid"] != fresh["metadata"]["uid"],
        BACK_SECONDS + 25,  # its pod has to end first
        "back",
    )
    models.wait_ready("served")


@pytest.mark.usefixtures("applied")
def test_a_damaged_artifact_is_not_served(models: Models, references: dict[str, str]) -> None:
    name = "served"
    status = models.wait_ready(name)
    file = f"/volume/{status['artifact']['revision']}/{status['artifact']['modelPath']}"
    damage = f"printf X | dd of={file} bs=1 seek=5000000 conv=notrunc"
    run_on(models, references["test-hub"], child_name(name, "volume"), damage)
    for pod in models.pods(name):
        models.kube.delete(models.path(CORE, "pods", pod["metadata"]["name"]))
    message = models.refused(name, "Available", "ArtifactDamaged")
    assert status["artifact"]["modelPath"] in message
    (deployment,) = models.deployments(name)
    assert deployment["status"].get("readyReplicas", 0) == 0


@pytest.mark.usefixtures("applied")
def test_a_service_of_that_name_is_not_adopted(models: Models) -> None:
    path = models.path(CORE, "services", child_name("foreign-service"))
    message = models.troubled("foreign-service", "Available", "NameTaken", READY_SECONDS)
    assert "foreign-service" in message
    found = models.kube.call("GET", path)
    assert "ownerReferences" not in found["metadata"]
    assert "selector" not in found["spec"]
    models.kube.delete(path)
    models.wait_ready("foreign-service", 60)
    models.delete("foreign-service")


@pytest.mark.usefixtures("applied")
def test_a_claim_of_that_name_is_not_adopted(models: Models) -> None:
    message = models.troubled("foreign-claim", "Fetched", "NameTaken")
    assert child_name("foreign-claim", "volume") in message
    assert models.jobs("foreign-claim", "fetch") == []
    models.delete("foreign-claim")


def kill_for_memory(
    commands: Commands, models: Models, name: str, step: str, container: str, but: str = ""
) -> str:
    """Use up the memory of a container as soon as it runs; return its pod, which is another."""
    pod = wait_running(
        models,
        name,
        step,
        container,
        VERDICT_SECONDS,
        lambda each: each["metadata"]["name"] != but,
    )
    use_up(commands, models, pod, container)
    return pod


@pytest.mark.usefixtures("applied")
def test_an_inspection_killed_for_memory_gets_one_larger_try(
    models: Models, commands: Commands, hub: HubControl
) -> None:
    name = "killed-while-inspecting"
    hub.add("slow", f"_cdn/{SAMPLE_GGUF}", bytes_per_second=20_000, seconds=120)
    models.apply(name, spec(from_hub(SAMPLE_GGUF, file=PICKED), None))
    first = kill_for_memory(commands, models, name, "inspect", "inspect")
    kill_for_memory(commands, models, name, "inspect", "inspect", but=first)
    message = models.refused(name, "Inspected", "OOMKilled", 60)
    hub.clear()
    assert "384Mi and with 768Mi" in message
    assert attempts(models.jobs(name)) == [("inspect", 2)]
    models.delete(name)


@pytest.mark.usefixtures("applied")
def test_an_evaluation_killed_for_memory_gets_one_larger_try(
    models: Models, commands: Commands
) -> None:
    """It is the main container, after one that is not made to work again."""
    name = "killed-while-evaluating"
    models.apply(name, spec(from_hub(TINY), quantization=quantize(resources=ENOUGH_MEMORY)))
    first = kill_for_memory(commands, models, name, "quantize", "evaluate")
    kill_for_memory(commands, models, name, "quantize", "evaluate", but=first)
    message = models.refused(name, "Quantized", "OOMKilled", 60)
    assert "Container evaluate was killed for memory" in message
    assert "600Mi and with 1200Mi" in message
    assert "spec.quantization.resources.memory" in message
    assert attempts(models.jobs(name)) == [("fetch", 1), ("inspect", 1), ("quantize", 2)]
    models.delete(name)


@pytest.mark.usefixtures("applied")
def test_a_fetch_killed_for_memory_gets_one_larger_try(
    models: Models, commands: Commands, hub: HubControl
) -> None:
    name = "killed-while-fetching"
    hub.add("slow", f"_cdn/{SAMPLE_GGUF}", bytes_per_second=1_000_000, seconds=300)
    models.apply(name, spec(from_hub(SAMPLE_GGUF, file=PICKED), None))
    first = kill_for_memory(commands, models, name, "fetch", "fetch")
    second = wait_running(
        models, name, "fetch", "fetch", 60, lambda pod: pod["metadata"]["name"] != first
    )
    assert step_status(models.get(name)["status"], "fetch")["memoryBytes"] == 1024 * 2**20
    use_up(commands, models, second, "fetch")
    message = models.refused(name, "Fetched", "OOMKilled", 60)
    assert "512Mi" in message
    assert "1024Mi" in message or "1Gi" in message
    assert attempts(models.jobs(name)) == [("fetch", 2), ("inspect", 1)]
    models.delete(name)


@pytest.mark.usefixtures("applied")
def test_a_measurement_killed_for_memory_gets_one_larger_try(
    models: Models, commands: Commands
) -> None:
    name = "killed-while-measuring"
    models.apply(name, spec(GGUF, None, serving={"contextLength": 8192}))
    first = wait_running(models, name, "measure", "measure", VERDICT_SECONDS)
    given = step_status(models.get(name)["status"], "measure")["memoryBytes"]
    wait_said(commands, models, first, LOADED)
    use_up(commands, models, first, "measure")
    second = wait_running(
        models, name, "measure", "measure", 60, lambda pod: pod["metadata"]["name"] != first
    )
    record = step_status(models.get(name)["status"], "measure")
    assert (record["attempts"], record["memoryBytes"]) == (2, 2 * given)
    wait_said(commands, models, second, LOADED)
    use_up(commands, models, second, "measure")
    message = models.refused(name, "Measured", "OOMKilled", 60)
    assert "measure was killed for memory" in message
    assert models.deployments(name) == []
    models.delete(name)


@pytest.mark.usefixtures("applied")
def test_a_server_killed_for_memory_gets_one_larger_try(models: Models, commands: Commands) -> None:
    name = "no-gpu-but-killed"
    models.apply(name, spec(GGUF, None))
    given = models.wait_ready(name)["sizing"]["memoryBytes"]
    first = wait_running(models, name, "server", "server", 30)
    use_up(commands, models, first, "server")
    status = models.wait_status(
        name,
        lambda found: found.get("sizing", {}).get("memoryBytes", 0) > given,
        60,
        "raised",
    )
    assert step_status(status, "serve")["lastReason"] == "OOMKilled"
    models.wait_ready(name)
    second = wait_running(
        models, name, "server", "server", 60, lambda pod: pod["metadata"]["name"] != first
    )
    use_up(commands, models, second, "server")
    message = models.refused(name, "Available", "OOMKilled", 60)
    assert "killed for memory" in message
    models.delete(name)


def test_an_image_that_cannot_be_pulled_is_named_and_an_upgrade_mends_it(
    models: Models, commands: Commands, references: dict[str, str], endpoint: str
) -> None:
    name = "no-image"
    absent = {**references, "llamacpp-worker": "localhost/qmodel/absent:1"}
    install_operator(commands, absent, endpoint)
    try:
        models.apply(name, spec(from_hub(TINY)))
        models.wait_for(name, "Fetched", "True")
        message = models.wait_for_words(name, "Quantized", "localhost/qmodel/absent:1")
        assert "pull" in message
    finally:
        install_operator(commands, references, endpoint)
    models.wait_for(name, "Quantized", "True")
    images = {
        container["image"]
        for job in models.jobs(name, "quantize")
        for container in job["spec"]["template"]["spec"]["containers"]
    }
    assert images == {references["llamacpp-worker"]}
    models.delete(name)
