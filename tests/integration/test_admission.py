"""What the API server itself refuses, by schema and CEL, and that it says which field is wrong."""

from copy import deepcopy
from typing import Any

import pytest
import yaml

from cluster import target
from cluster.commands import ClusterError

MINIMAL: dict[str, Any] = {
    "apiVersion": "qmodel.dev/v1alpha1",
    "kind": "QuantizedModel",
    "metadata": {"name": "admitted", "namespace": "default"},
    "spec": {
        "source": {"huggingFace": {"repository": "HuggingFaceTB/SmolLM2-135M-Instruct"}},
        "quantization": {"method": "GGUF", "gguf": {"type": "Q4_K_M"}},
    },
}
FULL: dict[str, Any] = {
    "source": {"persistentVolumeClaim": {"claimName": "models", "path": "a/b.c/..d"}},
    "quantization": {
        "method": "GGUF",
        "gguf": {"type": "IQ2_XS", "importanceMatrix": True},
        "calibration": {"configMapRef": {"name": "texts", "key": "calibration.txt"}},
        "resources": {"cpu": "500m", "memory": "0.5Gi"},
        "nodeSelector": {"pool": "models"},
        "tolerations": [{"key": "models", "operator": "Exists", "effect": "NoSchedule"}],
        "timeoutSeconds": 600,
    },
    "qualityGate": {
        "maxPerplexityRatio": "1.2",
        "maxMeanKLDivergence": "0.1",
        "minTopTokenAgreement": "1",
        "onFailure": "Warn",
        "text": {"persistentVolumeClaim": {"claimName": "texts", "path": "judged/on.txt"}},
    },
    "serving": {
        "engine": "LlamaCpp",
        "replicas": 0,
        "contextLength": 8192,
        "concurrency": 4,
        "kvCacheType": "Q8_0",
        "extraArgs": ["--temp", "0.2", "--seed", "-1"],
        "env": [{"name": "OMP_WAIT_POLICY", "value": "passive"}],
        "podTemplate": {
            "labels": {"team": "a"},
            "annotations": {"note": "b"},
            "affinity": {"nodeAffinity": {"anything": [{"goes": 1}]}},
            "imagePullSecrets": [{"name": "registry"}],
        },
    },
    "accelerator": {"type": "GPU", "resourceName": "amd.com/gpu", "count": 2},
    "storage": {"size": "10Gi", "accessMode": "ReadWriteMany", "deletionPolicy": "Retain"},
    "suspend": True,
}
LEGAL_NAMES = [
    "a",
    "1-digit-first",
    "with.dots.in-it",
    "a" * 253,
    "0" * 60 + "-one",
    "0" * 60 + "-two",
]

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "two sources",
        {"source.persistentVolumeClaim": {"claimName": "models"}},
        "exactly one of huggingFace, persistentVolumeClaim",
    ),
    ("no source", {"source": {}}, "exactly one of huggingFace, persistentVolumeClaim"),
    ("source missing", {"source": None}, "spec.source: Required value"),
    ("unknown method", {"quantization": {"method": "Magic"}}, "supported values"),
    ("unknown type", {"quantization.gguf.type": "Q9_K"}, "spec.quantization.gguf.type"),
    ("block of another method", {"quantization.method": "None"}, "gguf is only allowed"),
    (
        "type without its matrix",
        {"quantization.gguf.type": "IQ1_S"},
        "need importanceMatrix: true",
    ),
    (
        "calibration that nothing uses",
        {"quantization.calibration": {"configMapRef": {"name": "a", "key": "b"}}},
        "calibration is only used by AWQ, GPTQ, INT8, NVFP4 and GGUF with importanceMatrix",
    ),
    (
        "samples of a text that is read whole",
        {
            "quantization.gguf.importanceMatrix": True,
            "quantization.calibration": {"samples": 32},
        },
        "not used by GGUF",
    ),
    (
        "backend of another method",
        {"quantization": {"method": "FP8", "backend": "AutoAWQ"}},
        "backend of method FP8 must be one of: LLMCompressor",
    ),
    (
        "groups of no known size",
        {"quantization": {"method": "AWQ", "awq": {"groupSize": 48}}},
        "spec.quantization.awq.groupSize",
    ),
    (
        "modules that GGUF cannot leave out",
        {"quantization.ignore": ["lm_head"]},
        "ignore is not used by GGUF",
    ),
    (
        "engine that does not read the method",
        {"quantization": {"method": "FP8"}, "serving.engine": "LlamaCpp"},
        "serving.engine LlamaCpp serves method GGUF",
    ),
    (
        "two texts",
        {
            "qualityGate.text": {
                "configMapRef": {"name": "a", "key": "b"},
                "persistentVolumeClaim": {"claimName": "a", "path": "b"},
            }
        },
        "exactly one of configMapRef, persistentVolumeClaim",
    ),
    (
        "gate that is no decimal",
        {"qualityGate.maxPerplexityRatio": "five percent"},
        "spec.qualityGate.maxPerplexityRatio",
    ),
    (
        "gate that is a number",
        {"qualityGate.maxPerplexityRatio": 1.05},
        "spec.qualityGate.maxPerplexityRatio",
    ),
    (
        "negative gate",
        {"qualityGate.maxMeanKLDivergence": "-0.1"},
        "spec.qualityGate.maxMeanKLDivergence",
    ),
    (
        "agreement of more than all",
        {"qualityGate.minTopTokenAgreement": "1.1"},
        "must be between 0 and 1",
    ),
    ("negative replicas", {"serving.replicas": -1}, "greater than or equal to 0"),
    ("absurd replicas", {"serving.replicas": 100_000}, "less than or equal to 1000"),
    ("no concurrency", {"serving.concurrency": 0}, "greater than or equal to 1"),
    ("absurd context", {"serving.contextLength": 10**12}, "spec.serving.contextLength"),
    ("short timeout", {"quantization.timeoutSeconds": 1}, "greater than or equal to 60"),
    ("negative size", {"storage.size": "-1Gi"}, "spec.storage.size"),
    ("empty size", {"storage.size": "0Gi"}, "must be more than zero"),
    ("size without a number", {"storage.size": "huge"}, "spec.storage.size"),
    ("no memory", {"quantization.resources": {"memory": "0"}}, "must be more than zero"),
    ("too many GPUs", {"accelerator.count": 1000}, "less than or equal to 16"),
    ("unknown field", {"serving.replica": 2}, 'unknown field "spec.serving.replica"'),
    (
        "repository without an owner",
        {"source.huggingFace.repository": "smollm2"},
        "spec.source.huggingFace.repository",
    ),
    (
        "repository that is a URL",
        {"source.huggingFace.repository": "https://example.com/a/b"},
        "spec.source.huggingFace.repository",
    ),
    (
        "file that climbs",
        {"source.huggingFace.file": "../secret.gguf"},
        "must be relative and must not contain '..'",
    ),
    (
        "file that is no GGUF",
        {"source.huggingFace.file": "model.bin"},
        "spec.source.huggingFace.file",
    ),
    (
        "path that climbs",
        {"source": {"persistentVolumeClaim": {"claimName": "models", "path": "a/../../b"}}},
        "must be relative and must not contain '..'",
    ),
    (
        "absolute path",
        {"source": {"persistentVolumeClaim": {"claimName": "models", "path": "/etc"}}},
        "must be relative and must not contain '..'",
    ),
    (
        "size of a claim that is not ours",
        {"storage": {"existingClaim": "mine", "size": "1Gi"}},
        "not allowed with existingClaim",
    ),
    (
        "variable of the engine",
        {"serving.env": [{"name": "LLAMA_ARG_CTX_SIZE", "value": "1"}]},
        "are set by the operator",
    ),
    (
        "variable named twice",
        {"serving.env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        "Duplicate value",
    ),
    (
        "search path of the engine",
        {"serving.env": [{"name": "LD_PRELOAD", "value": "/artifacts/x.so"}]},
        "are set by the operator",
    ),
    (
        "port by another platform's variable",
        {"serving.env": [{"name": "AIP_HTTP_PORT", "value": "1"}]},
        "are set by the operator",
    ),
    (
        "GPUs that were not asked for",
        {"serving.env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]},
        "are set by the operator",
    ),
    (
        "flag and value in one",
        {"serving.extraArgs": ["--temp=0.2"]},
        "a flag and its value are two items",
    ),
    *(
        (f"argument {argument}", {"serving.extraArgs": [argument]}, "decided by the operator")
        for argument in (
            "--host",
            "--port=1",
            "-m",
            "--model",
            "--ctx-size",
            "--ctx_size",
            "-c",
            "--parallel",
            "--cache-ram=1",
            "--n-gpu-layers",
            "--no-mmap",
            "--api-key",
            "--log_disable",
        )
    ),
]


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the minimal resource with fields of spec replaced; None takes one away."""
    resource = deepcopy(MINIMAL)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = resource["spec"]
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return resource


def submit(resource: dict[str, Any]) -> str:
    """Ask the API server what it makes of a resource, without keeping it."""
    return target.kubectl(
        ["apply", "--dry-run=server", "-o", "yaml", "-f", "-"], stdin=yaml.safe_dump(resource)
    )


@pytest.mark.parametrize(
    ("changes", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refused_with_a_message_that_names_the_field(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ClusterError) as refused:
        submit(changed(changes))
    assert said in str(refused.value)
    assert "spec" in str(refused.value)


@pytest.mark.parametrize("name", LEGAL_NAMES)
def test_every_legal_name_is_taken(name: str) -> None:
    resource = deepcopy(MINIMAL)
    resource["metadata"]["name"] = name
    assert yaml.safe_load(submit(resource))["metadata"]["name"] == name


def test_a_stored_spec_stays_as_it_was_written() -> None:
    assert yaml.safe_load(submit({**MINIMAL, "spec": FULL}))["spec"] == FULL


def test_only_the_number_of_replicas_is_filled_in() -> None:
    stored = yaml.safe_load(submit(MINIMAL))["spec"]
    assert stored == {**MINIMAL["spec"], "serving": {"replicas": 1}}


def test_what_a_claim_of_the_user_can_may_be_said() -> None:
    storage = {"existingClaim": "mine", "accessMode": "ReadWriteOnce"}
    assert yaml.safe_load(submit(changed({"storage": storage})))["spec"]["storage"] == storage


def test_a_model_can_be_scaled_though_it_names_no_replicas() -> None:
    target.kubectl(["apply", "-f", "-"], stdin=yaml.safe_dump(changed({"suspend": True})))
    try:
        told = target.kubectl(["scale", "qm/admitted", "-n", "default", "--replicas=2"])
        assert "scaled" in told
        path = "jsonpath={.spec.serving.replicas}"
        assert target.kubectl(["get", "qm/admitted", "-n", "default", "-o", path]) == "2"
    finally:
        target.kubectl(["delete", "qm/admitted", "-n", "default", "--wait=false"])


def test_kubectl_explains_every_field() -> None:
    told = target.kubectl(["explain", "quantizedmodel.spec", "--recursive"])
    assert "maxPerplexityRatio" in told
    told = target.kubectl(["explain", "qm.spec.serving.contextLength"])
    assert "Longest sequence in tokens" in told
