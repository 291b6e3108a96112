"""Every method from YAML to an answer, on vLLM: quantized, judged, measured, sized and asked.

SmolLM2 cut to three layers, because vLLM takes its time on two cores: what it says is nonsense, but
it says it through its own chat template. Only unquantized the model is whole, and knows its answer;
the whole model's figures by method are `make bench-methods`.
"""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from demo.commands import Commands
from e2e import texts
from e2e.kube import Object
from e2e.models import (
    ANSWER,
    CORE,
    LITTLE_CPU,
    QUESTION,
    READY_SECONDS,
    SMOLLM2,
    Models,
    attempts,
    container_of,
    from_hub,
    is_ready,
)
from e2e.passages import PASSAGES
from model import checkpoint

FEW_LAYERS = "test/smollm2-3-layers"
SECONDS = 1500
"""All methods at once on two cores."""
FEW_SAMPLES = {"samples": 16, "maxSequenceLength": 128}
"""Quality is not what is looked at here."""
FOUR_BITS = {"bits": 4, "groupSize": 64}
SHARDED = "fp8"
SHARDS = {"maxShardSize": "4Mi"}
"""Ten megabytes of layers; the embedding is larger, and a file of its own."""
KILL_ENGINE = """
import os, signal
from pathlib import Path
lines = Path("/proc").glob("[0-9]*/cmdline")
engines = [line.parent.name for line in lines if line.read_bytes().startswith(b"VLLM::EngineCore")]
for engine in engines:
    os.kill(int(engine), signal.SIGKILL)
print(len(engines))
"""
"""Kills the engine core; the API server, which is the container's process, lives on."""
SAMPLES = Path(__file__).parents[2] / "manifests" / "samples" / "methods"


def _recipe(sample: Path) -> Object:
    """Return what a sample asks of quantization, with as few samples as a library works with."""
    found: Object = yaml.safe_load(sample.read_text())["spec"]["quantization"]
    shards = SHARDS if sample.stem == SHARDED else {}
    return found | shards | ({"calibration": FEW_SAMPLES} if "calibration" in found else {})


QUICKEST_FIRST = ("unquantized", "nf4", "fp8", "int8", "gptq", "awq", "autoawq")
"""A server that answered makes room for the next: two cores hold five."""
METHODS = {name: _recipe(SAMPLES / f"{name}.yaml") for name in QUICKEST_FIRST}
"""By name of the sample."""
WHOLE = KILLED = QUICKEST_FIRST[0]
TAKEN = {"taken-awq": "test/awq", "taken-gptq": "test/gptq-named"}
"""What others have quantized: its repository; the second's configuration is not in config.json."""
SERVED = [*METHODS, *TAKEN]
EVALUATED = [name for name in METHODS if name != "unquantized"]


def wanted(quantization: Object, source: str = FEW_LAYERS, **more: Any) -> Object:
    """Return a spec that serves a short context on a CPU, whatever the quality."""
    quantized = quantization["method"] != "None"
    resources = {"resources": LITTLE_CPU} if quantized else {}
    return {
        "source": from_hub(source),
        "quantization": {**quantization, **resources},
        "qualityGate": texts.GATE,
        "serving": {"contextLength": 512, "concurrency": 2},
        "accelerator": {"type": "CPU"},
        **more,
    }


@pytest.fixture(scope="module")
def applied(models: Models) -> Iterator[dict[str, Object]]:
    """Apply every method at once; what the tests find of a model is kept, the model is not."""
    texts.bring(models)
    for name, quantization in METHODS.items():
        models.apply(name, wanted(quantization, SMOLLM2 if name == WHOLE else FEW_LAYERS))
    for name, repository in TAKEN.items():
        models.apply(name, wanted({"method": "None"}, repository))
    yield {}
    for name in SERVED:
        models.delete(name)


def served(models: Models, applied: dict[str, Object], name: str) -> Object:
    """Return the status of a model that answered; its server then makes room for the next.

    One is left, to be killed by a test.
    """
    if name not in applied:
        status = models.wait_ready(name, SECONDS)
        answer, prompt = models.chat(name), models.prompt(name)
        log_probabilities = models.log_probabilities(name, PASSAGES)
        (pod,) = models.pods(name)
        assert container_of(pod, "server")["restartCount"] == 0, "asked for log probabilities"
        (deployment,) = models.deployments(name)
        jobs = attempts(models.jobs(name))
        if name != KILLED:
            _make_room(models, name)
        applied[name] = {
            **status,
            "answer": answer,
            "prompt": prompt,
            "deployment": deployment,
            "jobs": jobs,
            "logProbabilities": log_probabilities,
        }
    return applied[name]


def _make_room(models: Models, name: str) -> None:
    models.edit(name, serving={"replicas": 0})


@pytest.mark.timeout(SECONDS + 60)
def test_an_engine_that_dies_in_a_living_container_is_noticed(
    models: Models, applied: dict[str, Object], commands: Commands
) -> None:
    """Of the model that is ready first, while the others are made: it serves already."""
    name = KILLED
    served(models, applied, name)
    (pod,) = models.pods(name)
    path = models.path(CORE, "pods", pod["metadata"]["name"])
    words = ["exec", "-n", models.namespace, pod["metadata"]["name"], "-c", "server"]
    assert commands.kubectl(*words, "--", "python", "-c", KILL_ENGINE).strip() == "1"
    models.kube.wait(path, _was_restarted, READY_SECONDS, "restarted and ready")
    models.wait_ready(name)
    assert models.chat(name).strip()
    _make_room(models, name)


def _was_restarted(pod: Object | None) -> bool:
    state = None if pod is None else container_of(pod, "server")
    return pod is not None and state is not None and state["restartCount"] == 1 and is_ready(pod)


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", SERVED)
def test_a_method_ends_in_an_answer(models: Models, applied: dict[str, Object], name: str) -> None:
    status = served(models, applied, name)
    assert status["engine"] == "VLLM"
    assert (ANSWER if name == WHOLE else "") in status["answer"].strip()
    assert status["prompt"] == _templated(QUESTION)
    once = [("fetch", 1), ("inspect", 1), ("measure", 1), ("quantize", 1)]
    assert status["jobs"] == once, "a first try was too small, or something was done twice"


def _templated(question: str) -> str:
    """Return a question in the chat template of SmolLM2, which every model here has."""
    config = json.loads((checkpoint.make() / "tokenizer_config.json").read_text())
    template = ImmutableSandboxedEnvironment().from_string(config["chat_template"])
    messages = [{"role": "user", "content": question}]
    return template.render(messages=messages, add_generation_prompt=True)


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
@pytest.mark.parametrize("name", EVALUATED)
def test_a_method_is_judged_and_makes_the_weights_smaller(
    models: Models, applied: dict[str, Object], name: str
) -> None:
    status = served(models, applied, name)
    assert status["evaluation"]["tokens"] > 300
    assert float(status["evaluation"]["topTokenAgreement"]) > 0.3
    assert float(status["evaluation"]["perplexityRatio"]) < 2
    assert status["artifact"]["weightBytes"] < status["source"]["weightBytes"]
    calibrated = "calibration" in METHODS[name]
    assert status["artifact"].get("calibration") == ("SelfDrawn" if calibrated else None)


@pytest.mark.timeout(SECONDS + 60)
def test_large_weights_are_several_files(models: Models, applied: dict[str, Object]) -> None:
    """Judged and served like those of one file: the tests above and below hold of this one too."""
    artifact, whole = (served(models, applied, name)["artifact"] for name in (SHARDED, "nf4"))
    index, layers = 1, 2
    assert artifact["files"] - whole["files"] >= index + layers


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", EVALUATED)
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
    assert {path.stem for path in SAMPLES.glob("*.yaml")} == set(METHODS)
