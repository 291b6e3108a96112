"""What the API server itself refuses, by schema and CEL, and that it says which field is wrong."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml

from cluster import target
from cluster.commands import ClusterError
from integration.resources import MINIMAL, changed
from qmodel.api.crd import Schema, structural_schema
from qmodel.api.engine_options import LLAMA_CPP_ARGUMENTS, VLLM_ARGUMENTS
from qmodel.api.methods import Method
from qmodel.api.quantization import BLOCKS
from qmodel.api.spec import QuantizedModelSpec

SELECTOR = {
    "matchLabels": {"example.com/app": "a"},
    "matchExpressions": [{"key": "b", "operator": "DoesNotExist"}],
}
POD_TERM = {
    "topologyKey": "topology.kubernetes.io/zone",
    "labelSelector": SELECTOR,
    "namespaces": ["default"],
    "namespaceSelector": {},
    "matchLabelKeys": ["pod-template-hash"],
}
AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {
                    "matchExpressions": [
                        {"key": "example.com/cores", "operator": "Gt", "values": ["8"]},
                        {"key": "pool", "operator": "In", "values": ["a", "b"]},
                    ],
                    "matchFields": [
                        {"key": "metadata.name", "operator": "NotIn", "values": ["node.0"]}
                    ],
                }
            ]
        },
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {
                "weight": 100,
                "preference": {"matchExpressions": [{"key": "fast", "operator": "Exists"}]},
            }
        ],
    },
    "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [POD_TERM]},
    "podAntiAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": POD_TERM}
        ]
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
            "affinity": AFFINITY,
            "imagePullSecrets": [{"name": "registry"}],
        },
    },
    "accelerator": {"type": "GPU", "resourceName": "amd.com/gpu", "count": 2},
    "storage": {"size": "10Gi", "accessMode": "ReadWriteMany", "deletionPolicy": "Retain"},
    "suspend": True,
}
EXACTLY_ONE = {"source", "qualityGate.text"}
"""Blocks without a required field of which one must be set all the same."""
LEGAL_NAMES = [
    "a",
    "1-digit-first",
    "with.dots.in-it",
    "a" * 253,
    "0" * 60 + "-one",
    "0" * 60 + "-two",
]

ACCEPTED: list[dict[str, Any]] = [
    {"quantization.gguf": {}},
    {"quantization.gguf": {"importanceMatrix": False}},
    {"quantization.resources": {"cpu": "1m", "memory": "1Mi"}, "storage.size": "8Pi"},
    {"quantization.resources": {"cpu": "4096", "memory": "8192Ti"}, "storage.size": "1024Ki"},
]


def requiring(requirement: dict[str, Any]) -> dict[str, Any]:
    """Return an affinity to nodes that meet one requirement."""
    term = {"matchExpressions": [requirement]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"nodeAffinity": required}


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
    ("absurd concurrency", {"serving.concurrency": 10**6}, "less than or equal to 256"),
    (
        "more tokens than engines count",
        {"serving.contextLength": 10_485_760, "serving.concurrency": 256},
        "contextLength times concurrency must be at most 2147483647",
    ),
    ("absurd parallelism", {"serving.tensorParallelSize": 2**31}, "less than or equal to 16"),
    (
        "absurd samples",
        {"quantization": {"method": "AWQ", "calibration": {"samples": 10**9}}},
        "less than or equal to 4096",
    ),
    (
        "absurd sequences",
        {"quantization": {"method": "AWQ", "calibration": {"maxSequenceLength": 10**9}}},
        "less than or equal to 16384",
    ),
    ("absurd timeout", {"quantization.timeoutSeconds": 10**12}, "less than or equal to 2592000"),
    ("short timeout", {"quantization.timeoutSeconds": 1}, "greater than or equal to 60"),
    ("negative size", {"storage.size": "-1Gi"}, "spec.storage.size"),
    ("empty size", {"storage.size": "0Gi"}, "must be between 1Mi and 8Pi"),
    ("size without a number", {"storage.size": "huge"}, "spec.storage.size"),
    ("no memory", {"quantization.resources": {"memory": "0"}}, "must be between 1Mi and 8Pi"),
    ("size in bytes that was meant in Gi", {"storage.size": "1"}, "must be between 1Mi and 8Pi"),
    ("thousandths of a byte", {"quantization.resources": {"memory": "1m"}}, "between 1Mi and 8Pi"),
    (
        "memory of no machine",
        {"quantization.resources": {"memory": "20000000Ti"}},
        "spec.quantization.resources.memory",
    ),
    ("shards of one byte", {"quantization.maxShardSize": "1"}, "must be between 1Mi and 8Pi"),
    ("bytes of CPU", {"quantization.resources": {"cpu": "16Gi"}}, "must be between 1m and 4096"),
    ("no CPU", {"quantization.resources": {"cpu": "0"}}, "must be between 1m and 4096 CPUs"),
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
        "settings of the engine in a folder of the user's",
        {"serving.env": [{"name": "HOME", "value": "/artifacts"}]},
        "are set by the operator",
    ),
    (
        "GPUs that were not asked for",
        {"serving.env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]},
        "are set by the operator",
    ),
    (
        "label that no pod may have",
        {"serving.podTemplate.labels": {"team": "R&D team"}},
        "spec.serving.podTemplate.labels.team",
    ),
    (
        "key that no label has",
        {"serving.podTemplate.labels": {"the team": "a"}},
        "a key must be a name of at most 63 letters",
    ),
    (
        "key that no annotation has",
        {"serving.podTemplate.annotations": {"a/b/c": "anything goes"}},
        "a key must be a name of at most 63 letters",
    ),
    (
        "label that no node has",
        {"accelerator.nodeSelector": {"-gpu": "a"}},
        "a key must be a name of at most 63 letters",
    ),
    (
        "toleration of everything by mistake",
        {"quantization.tolerations": [{"effect": "NoSchedule"}]},
        "without a key, operator must be Exists",
    ),
    (
        "toleration of a value that is not compared",
        {"quantization.tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
        "operator Exists takes no value",
    ),
    (
        "toleration for a while of what throws nobody out",
        {"quantization.tolerations": [{"key": "a", "value": "b", "tolerationSeconds": 1}]},
        "tolerationSeconds needs effect NoExecute",
    ),
    (
        "affinity that Kubernetes does not know",
        {"serving.podTemplate.affinity": {"nodeAffinity": {"anything": [{"goes": 1}]}}},
        'unknown field "spec.serving.podTemplate.affinity.nodeAffinity.anything"',
    ),
    (
        "affinity to no value",
        {"serving.podTemplate.affinity": requiring({"key": "a", "operator": "In"})},
        "operators In and NotIn need values",
    ),
    (
        "affinity to more than a word",
        {
            "serving.podTemplate.affinity": requiring(
                {"key": "a", "operator": "Gt", "values": ["many"]}
            )
        },
        "Gt and Lt one that is a whole number",
    ),
    (
        "affinity by an operator that there is not",
        {"serving.podTemplate.affinity": requiring({"key": "a", "operator": "Equal"})},
        "operator: Unsupported value",
    ),
    (
        "affinity without a place",
        {
            "serving.podTemplate.affinity": {
                "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}
            }
        },
        "topologyKey: Required value",
    ),
    (
        "flag and value in one",
        {"serving.extraArgs": ["--temp=0.2"]},
        "a flag and its value as two items",
    ),
]

NOT_ALLOWED = [
    *("--host", "--port", "-m", "--ctx-size", "--ctx_size", "-c", "--parallel", "--n-gpu-layers"),
    *("--no-mmap", "--api-key", "--log_disable", "--no-kv-offload", "-nkvo", "--override-tensor"),
    *("--tensor-split", "--override-kv", "--spec-type", "--embeddings", "--no-jinja", "--ui"),
    *("--sleep-idle-seconds", "--tools", "--trust-remote-code", "--tem"),
]
"""Arguments of the engines: as many as one failed command's last lines can name."""
MAX_ARGUMENTS = 32


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


def optional_blocks(schema: Schema, path: str = "") -> Iterator[str]:
    """Yield the paths of the blocks in which every field may be absent."""
    for name, each in schema.get("properties", {}).items():
        inner = f"{path}.{name}".removeprefix(".")
        if "properties" in each and "required" not in each:
            yield inner
        yield from optional_blocks(each, inner)


def with_empty(path: str) -> dict[str, Any]:
    """Return a resource with an empty block, of a method that the block may stand with."""
    method = BLOCKS.get(path.removeprefix("quantization."), Method.AWQ)
    return changed({"quantization": {"method": method.value}, path: {}})


def submit_all(resources: list[dict[str, Any]]) -> None:
    """Ask what the API server makes of many resources at once: it names those that it refuses."""
    for number, resource in enumerate(resources):
        resource["metadata"]["name"] = f"admitted-{number}"
    submit({"apiVersion": "v1", "kind": "List", "items": resources})


def test_what_is_accepted() -> None:
    submit_all([changed(changes) for changes in ACCEPTED])


def test_what_engines_may_be_given_is_accepted() -> None:
    allowed = sorted(LLAMA_CPP_ARGUMENTS | VLLM_ARGUMENTS)
    parts = [allowed[at : at + MAX_ARGUMENTS] for at in range(0, len(allowed), MAX_ARGUMENTS)]
    submit_all([changed({"serving.extraArgs": part}) for part in parts])


def test_arguments_that_are_not_allowed_are_named() -> None:
    resources = [changed({"serving.extraArgs": [argument, "1"]}) for argument in NOT_ALLOWED]
    with pytest.raises(ClusterError) as refused:
        submit_all(resources)
    for argument in NOT_ALLOWED:
        assert f"{argument} is not among the arguments that engines may be" in str(refused.value)


def test_every_optional_block_may_be_empty() -> None:
    blocks = set(optional_blocks(structural_schema(QuantizedModelSpec)))
    assert "quantization.gguf" in blocks
    submit_all([with_empty(path) for path in sorted(blocks - EXACTLY_ONE)])


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
