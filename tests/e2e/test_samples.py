"""The manifests that people copy: applied as they are, they serve."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.models import ANSWER, CORE, READY_SECONDS, Models
from e2e.volumes import make_claim, seed
from model.repositories import READER
from qmodel.api.quantities import bytes_of

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
ON_A_GPU = "gated-on-gpu.yaml"
"""Its node must have one: test_accelerator.py applies it."""
NAMES = sorted(path.name for path in SAMPLES.glob("*.yaml") if path.name != ON_A_GPU)
TEXT = "\n\n".join(
    f"Passage {number}. The river that runs through the valley rises in the hills to the north, "
    "and the people who live beside it have built their houses well above the water. In spring "
    "the snow melts, and for a week or two nobody crosses by the lower bridge."
    for number in range(24)
)


@pytest.fixture(scope="module")
def applied(models: Models, references: dict[str, str]) -> Iterator[dict[str, str]]:
    """Apply all samples at once, with what their comments ask for; return file to model."""
    make_claim(models, "models", "1Gi")
    seed(
        models,
        references["test-hub"],
        "models",
        {"smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct"},
    )
    _bring(models)
    names = {}
    for file in NAMES:
        (names[file],) = models.apply_yaml((SAMPLES / file).read_text())
    yield names
    for name in names.values():
        models.delete(name)


def _bring(models: Models) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "stringData": {"token": READER}}
    models.kube.apply(models.path(CORE, "secrets", "hub-token"), secret)
    texts = {"calibration.txt": TEXT, "evaluation.txt": TEXT.replace("river", "road")}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": texts}
    models.kube.apply(models.path(CORE, "configmaps", "texts"), body)


@pytest.mark.parametrize("file", NAMES)
def test_a_sample_becomes_ready(models: Models, applied: dict[str, str], file: str) -> None:
    status = models.wait_ready(applied[file], 2 * READY_SECONDS)
    for block in ("source", "artifact", "evaluation", "footprint", "sizing"):
        assert block in status
    name = applied[file]
    assert status["endpoint"] == f"http://{name}.{models.namespace}.svc/v1"
    assert status["stage"] == "Ready"
    assert status["servingRevision"] == status["revision"] == status["artifact"]["revision"]


def test_the_first_sample_answers(models: Models, applied: dict[str, str]) -> None:
    name = applied["smollm2.yaml"]
    models.wait_ready(name)
    assert ANSWER in models.chat(name)


def test_what_the_first_sample_reports(models: Models, applied: dict[str, str]) -> None:
    status = models.wait_ready(applied["smollm2.yaml"])
    assert status["artifact"]["weightBytes"] < 0.6 * status["source"]["weightBytes"]
    evaluation = status["evaluation"]
    assert evaluation["tokens"] > 1000
    assert float(evaluation["perplexityRatio"]) < 1.05
    assert float(evaluation["topTokenAgreement"]) > 0.9
    footprint, sizing = status["footprint"], status["sizing"]
    assert footprint["weightsBytes"] >= status["artifact"]["weightBytes"] * 0.9
    assert footprint["kvBytes"] == sizing["kvBytes"]
    assert sizing["memoryBytes"] > footprint["peakBytes"]
    assert {step["attempts"] for step in status["steps"]} == {1}


def test_servers_are_what_the_sizing_says(models: Models, applied: dict[str, str]) -> None:
    name = applied["every-field.yaml"]
    sizing = models.wait_ready(name, 2 * READY_SECONDS)["sizing"]
    (deployment,) = models.deployments(name)
    assert deployment["status"]["readyReplicas"] == 2
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"]["team"] == "research"
    (server,) = pod["spec"]["containers"]
    over = bytes_of(server["resources"]["limits"]["memory"]) - sizing["memoryBytes"]
    assert 0 <= over < 2**20, "rounded up to whole mebibytes"
    assert server["command"][-2:] == ["--temp", "0.2"]


def test_events_tell_the_story_once(models: Models, applied: dict[str, str]) -> None:
    name = applied["smollm2.yaml"]
    models.wait_ready(name)
    models.look_again(name)
    expected = {"Inspected", "Fetched", "Evaluated", "Measured", "Ready"}
    assert models.told(name, expected) == sorted(expected)
