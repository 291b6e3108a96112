"""Every method from YAML to an answer, on vLLM: quantized, judged, measured, sized and asked.

SmolLM2 cut to three layers, because vLLM takes its time on two cores: what it says is nonsense, but
it says it through its own chat template. The whole model is served by test_vllm.py, and its figures
by method are `make bench-methods`.
"""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest
import yaml

from demo.commands import Commands
from e2e import texts
from e2e.kube import Object
from e2e.models import (
    LITTLE_CPU,
    QUESTION,
    SMOLLM2,
    Models,
    attempts,
    container_of,
    from_hub,
)
from e2e.passages import PASSAGES
from e2e.templates import templated

FEW_LAYERS = "test/smollm2-3-layers"
SECONDS = 1500
"""All methods at once on two cores."""
FEW_SAMPLES = {"samples": 16, "maxSequenceLength": 128}
"""Quality is not what is looked at here."""
FOUR_BITS = {"bits": 4, "groupSize": 64}
SHARDED = "fp8"
SHARDS = {"maxShardSize": "4Mi"}
"""Ten megabytes of layers; the embedding is larger, and a file of its own."""
CALIBRATED_ON = {"awq": texts.CHATS, "int8": texts.PROSE}
"""Texts of a user; the others draw samples themselves."""
SAMPLES = Path(__file__).parents[2] / "manifests" / "samples" / "methods"


def _recipe(name: str) -> Object:
    """Return what a sample asks of quantization, with as few samples as a library works with."""
    sample = yaml.safe_load((SAMPLES / f"{name}.yaml").read_text())
    found: Object = sample["spec"]["quantization"]
    if name == SHARDED:
        found |= SHARDS
    if "calibration" in found:
        found["calibration"] = FEW_SAMPLES | CALIBRATED_ON.get(name, {})
    return found


OF_SAMPLES = ("nf4", "fp8", "int8", "gptq", "awq", "autoawq")
"""What is made of the samples of their names: quickest first. A server that answered makes room for
the next: two cores hold five."""
BY_BITSANDBYTES = {
    "bnb-int8": {"method": "BitsAndBytes", "bitsAndBytes": {"type": "INT8"}},
    "fp4": {"method": "BitsAndBytes", "bitsAndBytes": {"type": "FP4"}},
}
METHODS = {**BY_BITSANDBYTES, **{name: _recipe(name) for name in OF_SAMPLES}}
TAKEN = {"taken-awq": "test/awq", "taken-gptq": "test/gptq-named"}
"""What others have quantized: its repository; the second's configuration is not in config.json."""
SERVED = [*TAKEN, *METHODS]
"""What needs no quantizing is ready first, and should not keep its cores from the others."""
TWICE = {"gptq": "gptq-again"}
"""Made once more from samples that the model draws once more, but not served."""


def wanted(quantization: Object, source: str = FEW_LAYERS, gate: Object = texts.GATE) -> Object:
    """Return a spec that serves a short context on a CPU, whatever the quality."""
    quantized = quantization["method"] != "None"
    resources = {"resources": LITTLE_CPU} if quantized else {}
    return {
        "source": from_hub(source),
        "quantization": {**quantization, **resources},
        "qualityGate": gate,
        "serving": {"contextLength": 512, "concurrency": 2},
        "accelerator": {"type": "CPU"},
    }


@pytest.fixture(scope="module")
def applied(models: Models) -> Iterator[dict[str, Object]]:
    """Apply every method at once; what the tests find of a model is kept, the model is not."""
    texts.bring(models)
    for name, quantization in METHODS.items():
        models.apply(name, wanted(quantization))
    for name, again in TWICE.items():
        models.apply(again, wanted(METHODS[name], gate=texts.IMPOSSIBLE_GATE))
    for name, repository in TAKEN.items():
        models.apply(name, wanted({"method": "None"}, repository))
    yield {}
    for name in (*SERVED, *TWICE.values()):
        models.delete(name)


def served(models: Models, applied: dict[str, Object], name: str) -> Object:
    """Return the status of a model that answered; its server then makes room for the next."""
    if name not in applied:
        status = models.wait_ready(name, SECONDS)
        answer, prompt = models.chat(name), models.prompt(name)
        log_probabilities = models.log_probabilities(name, PASSAGES)
        (pod,) = models.pods(name)
        assert container_of(pod, "server")["restartCount"] == 0, "asked for log probabilities"
        (deployment,) = models.deployments(name)
        jobs = attempts(models.jobs(name))
        models.edit(name, serving={"replicas": 0})
        applied[name] = {
            **status,
            "answer": answer,
            "prompt": prompt,
            "deployment": deployment,
            "jobs": jobs,
            "logProbabilities": log_probabilities,
        }
    return applied[name]


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", SERVED)
def test_a_method_ends_in_an_answer(models: Models, applied: dict[str, Object], name: str) -> None:
    status = served(models, applied, name)
    assert status["engine"] == "VLLM"
    assert status["answer"].strip() or name in TAKEN, "their weights are random"
    assert status["prompt"] == templated(QUESTION)
    once = [("fetch", 1), ("inspect", 1), ("measure", 1), ("quantize", 1)]
    assert status["jobs"] == once, "a first try was too small, or something was done twice"


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", TAKEN)
def test_what_others_have_quantized_is_served_as_it_is(
    models: Models, applied: dict[str, Object], name: str
) -> None:
    status = served(models, applied, name)
    assert status["source"]["quantization"]["bits"] == 4
    assert status["artifact"]["weightBytes"] == pytest.approx(
        status["source"]["weightBytes"], rel=0.01
    ), "headers apart"
    assert all(math.isfinite(value) for value in status["logProbabilities"])


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", METHODS)
def test_the_limit_lies_above_what_was_measured(
    models: Models, applied: dict[str, Object], name: str
) -> None:
    status = served(models, applied, name)
    footprint, sizing = status["footprint"], status["sizing"]
    assert footprint["kvBytes"] == sizing["kvBytes"]
    assert footprint["peakBytes"] > footprint["kvBytes"] + 500 * 2**20, "all processes count"
    assert sizing["memoryBytes"] > footprint["peakBytes"]
    assert status["deployment"]["metadata"]["generation"] == 1, "nothing rolled out twice"
    (server,) = status["deployment"]["spec"]["template"]["spec"]["containers"]
    argv = server["command"]
    assert argv[argv.index("--kv-cache-memory-bytes") + 1] == str(sizing["kvBytes"])


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_judged_and_makes_the_weights_smaller(
    models: Models, applied: dict[str, Object], name: str
) -> None:
    status = served(models, applied, name)
    assert status["evaluation"]["tokens"] > 300
    assert float(status["evaluation"]["topTokenAgreement"]) > 0.3
    assert float(status["evaluation"]["perplexityRatio"]) < 2
    assert status["artifact"]["weightBytes"] < status["source"]["weightBytes"]
    text = "User" if name in CALIBRATED_ON else "SelfDrawn"
    calibrated = "calibration" in METHODS[name]
    assert status["artifact"].get("calibration") == (text if calibrated else None)


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", TWICE)
def test_a_recipe_makes_the_same_weights_again(
    models: Models, applied: dict[str, Object], name: str
) -> None:
    models.refused(TWICE[name], "Evaluated", "BelowGate", SECONDS)
    again = models.get(TWICE[name])["status"]["artifact"]
    assert not again.get("reused"), "made on a volume of its own"
    assert again["digest"] == served(models, applied, name)["artifact"]["digest"]


@pytest.mark.timeout(SECONDS + 60)
def test_large_weights_are_several_files(models: Models, applied: dict[str, Object]) -> None:
    """Judged and served like those of one file: the tests above and below hold of this one too."""
    artifact, whole = (served(models, applied, name)["artifact"] for name in (SHARDED, "nf4"))
    index, layers = 1, 2
    assert artifact["files"] - whole["files"] >= index + layers


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", METHODS)
def test_the_server_computes_what_was_judged(
    models: Models, applied: dict[str, Object], name: str
) -> None:
    """The engine has kernels of its own; what they say of a text is what the judge's said."""
    status = served(models, applied, name)
    evaluation, by_engine = status["evaluation"], status["logProbabilities"]
    assert len(by_engine) == evaluation["tokens"]
    judged = math.log(float(evaluation["perplexity"]))
    assert -fmean(by_engine) == pytest.approx(judged, abs=0.1), "nats a token"


@pytest.mark.parametrize(
    ("name", "quantization", "reason", "words"),
    [
        ("wide-groups", {"method": "AWQ"}, "GroupSizeDoesNotFit", "64"),
        (
            "no-cuda",
            {"method": "GPTQ", "backend": "AutoGPTQ", "gptq": FOUR_BITS},
            "GPUNeeded",
            "AutoGPTQ",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_fetched(
    models: Models, name: str, quantization: Object, reason: str, words: str
) -> None:
    models.apply(name, wanted(quantization, SMOLLM2))
    assert words in models.refused(name, "Inspected", reason)
    assert attempts(models.jobs(name)) == [("inspect", 1)]
    assert models.claims(name) == []
    models.delete(name)


@pytest.mark.timeout(SECONDS + 60)
def test_a_report_shows_what_lies_on_the_volume(
    models: Models, applied: dict[str, Object], commands: Commands, tmp_path: Path
) -> None:
    served(models, applied, "nf4")
    page = tmp_path / "nf4.html"
    words = ["-m", "qmodel.cli", "report", "nf4", "-n", models.namespace, "-o", str(page)]
    commands.run([sys.executable, *words])
    text = page.read_text()
    for title in ("Answers side by side", "Where the weights go", "Error of each layer"):
        assert title in text
    assert "<script" not in text


def test_every_sample_of_a_method_is_served_here() -> None:
    """But the one that is served as it is, by test_vllm.py."""
    assert {path.stem for path in SAMPLES.glob("*.yaml")} == {*OF_SAMPLES, "unquantized"}
