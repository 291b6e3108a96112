from typing import Any

import pytest

from qmodel.api.serving import Engine
from qmodel.planner import keys
from unit.planner.values import spec

GGUF = {"method": "GGUF"}
TEXT = {"configMapRef": {"name": "texts", "key": "calibration"}}


def hub(**members: Any) -> dict[str, Any]:
    """Return a source."""
    return {"huggingFace": {"repository": "example/smollm2", **members}}


def revision(**overrides: Any) -> str:
    """Return the revision of a spec and a source that stays the same."""
    return keys.revision(spec(**overrides), "0123456789abcdef")


@pytest.mark.parametrize(
    "overrides",
    [
        {"quantization": GGUF},
        {"quantization": {**GGUF, "gguf": {"type": "Q4_K_M", "importanceMatrix": False}}},
        {"quantization": {**GGUF, "timeoutSeconds": 100, "resources": {"memory": "9Gi"}}},
        {"quantization": {**GGUF, "nodeSelector": {"pool": "models"}}},
        {"qualityGate": {"maxPerplexityRatio": "2"}},
        {"serving": {"replicas": 3, "contextLength": 8192, "kvCacheType": "Q8_0"}},
        {"accelerator": {"type": "GPU"}},
        {"storage": {"size": "10Gi"}},
        {"suspend": True},
    ],
)
def test_a_revision_depends_on_nothing_but_the_recipe(overrides: dict[str, Any]) -> None:
    assert revision(**overrides) == revision()


@pytest.mark.parametrize(
    "quantization",
    [
        {"method": "None"},
        {**GGUF, "gguf": {"type": "Q8_0"}},
        {**GGUF, "gguf": {"type": "Q4_K_M", "importanceMatrix": True}},
    ],
)
def test_every_recipe_is_another_revision(quantization: dict[str, Any]) -> None:
    assert revision(quantization=quantization) != revision()


def test_the_calibration_text_is_part_of_the_recipe() -> None:
    matrix = {**GGUF, "gguf": {"importanceMatrix": True}}
    assert revision(quantization={**matrix, "calibration": TEXT}) != revision(quantization=matrix)


def test_another_source_is_another_revision() -> None:
    assert keys.revision(spec(), "a" * 16) != keys.revision(spec(), "b" * 16)


def test_who_may_read_a_source_does_not_change_what_it_is() -> None:
    token = spec(source=hub(tokenSecretRef={"name": "hub", "key": "token"}))
    assert keys.source_key(token) == keys.source_key(spec())
    assert keys.source_key(spec(source=hub(revision="v2"))) != keys.source_key(spec())
    assert keys.source_key(spec(source=hub(file="a.gguf"))) != keys.source_key(spec())
    assert keys.source_key(spec(source=hub(exclude=["*.gguf"]))) != keys.source_key(spec())


@pytest.mark.parametrize(
    ("kind", "place", "reference"),
    [
        ("s3", {"uri": "s3://models/a"}, "credentialsSecretRef"),
        ("oci", {"reference": "registry.test/a:1"}, "pullSecretRef"),
    ],
)
def test_other_credentials_are_the_same_source(
    kind: str, place: dict[str, str], reference: str
) -> None:
    readers = [spec(source={kind: {**place, reference: {"name": n}}}) for n in ("a", "b")]
    found = {keys.source_key(each) for each in (*readers, spec(source={kind: place}))}
    assert len(found) == 1


def test_the_gate_is_not_part_of_an_evaluation_but_its_text_is() -> None:
    gate = {"maxPerplexityRatio": "2", "onFailure": "Warn"}
    assert keys.evaluation_key(spec(qualityGate=gate)) == keys.evaluation_key(spec())
    assert keys.evaluation_key(spec(qualityGate={"text": TEXT})) != keys.evaluation_key(spec())


def test_a_source_served_as_it_is_is_not_evaluated_on_any_text() -> None:
    as_it_is = {"method": "None"}
    text = spec(quantization=as_it_is, qualityGate={"text": TEXT})
    assert keys.evaluation_key(text) == keys.evaluation_key(spec(quantization=as_it_is))


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert keys.digest({"a": 1, "b": 2}) == keys.digest({"b": 2, "a": 1})
    assert keys.digest("a", "b") != keys.digest("b", "a")
    assert keys.digest("ab") != keys.digest("a", "b")


@pytest.mark.parametrize(
    "serving",
    [
        {"contextLength": 2048},
        {"concurrency": 2},
        {"kvCacheType": "F16"},
        {"dtype": "float32"},
        {"tensorParallelSize": 2},
    ],
)
def test_what_a_gpu_holds_depends_on_load_and_splitting(serving: dict[str, Any]) -> None:
    asked = keys.load_key(spec(serving=serving).serving, Engine.VLLM)
    assert asked != keys.load_key(spec().serving, Engine.VLLM)
