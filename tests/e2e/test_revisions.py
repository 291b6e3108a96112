"""What happens when a model that serves is edited, suspended, deleted, or has many neighbours."""

from collections.abc import Iterator

import pytest

from e2e.kube import Kube, Object
from e2e.models import (
    ANSWER,
    CORE,
    MODELS,
    SMOLLM2_GGUF,
    TINY,
    Models,
    condition,
    fresh_name,
    from_hub,
    spec,
)
from e2e.requests import Requests
from qmodel.api.base import PLURAL
from qmodel.naming import child_name

GGUF = from_hub(SMOLLM2_GGUF)
LONG = "a" * 59 + "."
LONG_NAMES = [
    "9-begins-with-a-digit",
    "dots.in.the.name",
    f"{LONG}one" + "-b" * 95,
    f"{LONG}two" + "-b" * 95,
]


def uids(objects: list[Object]) -> set[str]:
    return {each["metadata"]["uid"] for each in objects}


def quantize(kind: str) -> Object:
    return {"method": "GGUF", "gguf": {"type": kind}, "resources": {"cpu": "100m"}}


@pytest.fixture(scope="module")
def applied(models: Models) -> Iterator[None]:
    """Apply what most tests here start from, at once."""
    specs = {
        "edited": spec(from_hub(TINY), "Q8_0"),
        "resized": spec(GGUF, None, serving={"replicas": 2}),
        "suspended": spec(GGUF, None, suspend=True),
        "deleted": spec(GGUF, None),
        "retained": spec(GGUF, None),
    }
    for name, each in specs.items():
        models.apply(name, each)
    yield
    for name in specs:
        models.delete(name)


@pytest.mark.usefixtures("applied")
def test_a_new_recipe_is_built_beside_and_no_request_fails(
    models: Models, references: dict[str, str]
) -> None:
    before = models.wait_ready("edited")
    with Requests(models, references["llamacpp"], before["endpoint"]) as asking:
        models.edit("edited", quantization=quantize("Q4_0"))
        status = models.wait_status(
            "edited", lambda found: found["revision"] != before["revision"], 30, "another revision"
        )
        assert status["servingRevision"] == before["revision"]
        after = models.wait_ready("edited")
        models.wait_gone(
            "apis/apps/v1", "deployments", child_name("edited", before["revision"]), 180
        )
        asking.wait_asked(5, 60)
        counts = asking.counts()
    assert counts["failed"] == 0, counts
    assert counts["asked"] > 20
    assert after["servingRevision"] == after["revision"] != before["revision"]
    assert after["artifact"]["weightBytes"] < before["artifact"]["weightBytes"]
    assert len(models.deployments("edited")) == 1


@pytest.mark.usefixtures("applied")
def test_an_impossible_recipe_leaves_what_serves(models: Models) -> None:
    before = models.wait_ready("edited")
    strict = {"minTopTokenAgreement": "1.0", "maxMeanKLDivergence": "0", "onFailure": "Block"}
    models.edit("edited", quantization=quantize("Q2_K"), qualityGate=strict)
    models.refused("edited", "Evaluated", "BelowGate")
    status = models.get("edited")["status"]
    assert status["servingRevision"] == before["servingRevision"]
    (deployment,) = models.deployments("edited")
    assert deployment["status"]["readyReplicas"] == 1
    assert models.chat("edited", "hello") is not None
    models.delete("edited")


@pytest.mark.usefixtures("applied")
def test_serving_is_edited_without_a_job(models: Models) -> None:
    first = models.wait_ready("resized")
    jobs = uids(models.jobs("resized"))
    models.edit("resized", serving={"replicas": 1})
    models.wait_ready("resized", 60)
    models.edit("resized", serving={"contextLength": 1024, "concurrency": 2})
    second = models.wait_ready("resized")
    assert uids(models.jobs("resized")) == jobs
    assert second["footprint"] == first["footprint"]
    grown = second["sizing"]["kvBytes"] - first["sizing"]["kvBytes"]
    wanted = (2 * 1024 - 256) * first["footprint"]["kvBytesPerToken"]
    assert grown == pytest.approx(wanted, rel=0.01)  # the server prints its cache in MiB
    assert second["sizing"]["memoryBytes"] >= first["sizing"]["memoryBytes"] + grown
    (deployment,) = models.deployments("resized")
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    words = server["command"]
    assert words[words.index("--ctx-size") + 1] == "2048"
    assert words[words.index("--parallel") + 1] == "2"
    assert deployment["spec"]["replicas"] == 1
    assert ANSWER in models.chat("resized")


@pytest.mark.usefixtures("applied")
def test_the_scale_subresource_scales(models: Models) -> None:
    models.wait_ready("resized")
    path = models.path(MODELS, PLURAL, "resized")
    models.kube.merge(f"{path}/scale", {"spec": {"replicas": 0}})
    model = models.wait_for("resized", "Available", "True", "ScaledToZero", 60)
    assert model["spec"]["serving"]["replicas"] == 0
    models.delete("resized")


@pytest.mark.usefixtures("applied")
def test_suspended_work_begins_when_it_is_resumed(models: Models) -> None:
    name = "suspended"
    message = models.refused(name, "Inspected", "Suspended")
    assert "spec.suspend" in message
    assert models.jobs(name) == []
    models.edit(name, suspend=False)
    before = models.wait_ready(name)
    jobs = uids(models.jobs(name))
    models.edit(name, suspend=True, serving={"kvCacheType": "Q8_0"})
    models.wait_for(name, "Measured", "False", "Suspended", 30)
    assert uids(models.jobs(name)) <= jobs  # what is outdated may go
    assert ANSWER in models.chat(name)
    models.edit(name, suspend=False)
    after = models.wait_ready(name)
    assert after["servingRevision"] == before["servingRevision"]
    assert after["footprint"]["kvBytes"] < before["footprint"]["kvBytes"]
    models.delete(name)


@pytest.mark.usefixtures("applied")
def test_deletion_takes_the_volume_or_leaves_it_to_be_used_again(models: Models) -> None:
    volume = child_name("retained", "volume")
    path = models.path(CORE, "persistentvolumeclaims", volume)
    for name in ("deleted", "retained"):
        models.wait_ready(name)
    models.edit("retained", storage={"deletionPolicy": "Retain"})
    models.kube.wait(
        path,
        lambda claim: claim and "ownerReferences" not in claim["metadata"],
        30,
        "without an owner",
    )
    for name in ("deleted", "retained"):
        models.delete(name)
    for name in ("deleted", "retained"):
        models.wait_gone(CORE, "services", child_name(name))
    models.wait_gone(CORE, "persistentvolumeclaims", child_name("deleted", "volume"))
    kept = models.kube.call("GET", path)
    assert "deletionTimestamp" not in kept["metadata"]
    assert kept["status"]["phase"] == "Bound"
    models.apply("retained", spec(GGUF, None))
    message = models.troubled("retained", "Fetched", "NameTaken")
    assert f"spec.storage.existingClaim to {volume}" in message
    models.edit("retained", storage={"existingClaim": volume})
    again = models.wait_for("retained", "Quantized", "True")
    assert again["status"]["artifact"]["reused"] is True
    models.delete("retained")


def test_one_name_in_several_namespaces(models: Models, kube: Kube) -> None:
    names = [fresh_name("qmodel-e2e-many") for _ in range(3)]
    several = [Models(kube, name) for name in names]
    try:
        for each in several:
            body = {"apiVersion": "v1", "kind": "Namespace"}
            kube.apply(f"{CORE}/namespaces/{each.namespace}", body)
            each.apply("same", spec(GGUF, None))
        digests = {each.wait_ready("same")["artifact"]["digest"] for each in several}
        assert len(digests) == 1
        for each in several:
            assert ANSWER in each.chat("same")
    finally:
        for name in names:
            kube.delete(f"{CORE}/namespaces/{name}")
    del models  # the operator runs


def test_every_legal_name_works(models: Models) -> None:
    for name in LONG_NAMES:
        models.apply(name, spec(GGUF, None))
    for name in LONG_NAMES:
        models.wait_ready(name)
        assert ANSWER in models.chat(name)
    services = {child_name(name) for name in LONG_NAMES}
    assert len(services) == len(LONG_NAMES)
    assert len(LONG_NAMES[2]) == len(LONG_NAMES[3]) == 253
    assert LONG_NAMES[2][:60] == LONG_NAMES[3][:60]
    for name in LONG_NAMES:
        assert condition(models.get(name), "Ready")["status"] == "True"
        models.delete(name)
