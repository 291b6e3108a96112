"""vLLM's server in a cluster: its answer, its memory, its counts, and how it ends.

The whole SmolLM2, unquantized: it knows its answer. Every method is made in test_methods.py.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cluster.commands import wait_until
from demo.commands import Commands
from e2e.kube import Object
from e2e.load import outcome_at
from e2e.models import (
    ANSWER,
    CORE,
    PAUSE_SECONDS,
    QUESTION,
    READY_SECONDS,
    SMOLLM2,
    Models,
    container_of,
    from_hub,
    is_ready,
)
from e2e.templates import templated
from qmodel.naming import child_name

NAME = "whole"
BASE = "base"
MEASURED = (512, 2)
SETTINGS = (MEASURED, (2048, 1), (256, 6))
"""Tokens of a sequence, and sequences at once; the first is measured."""
LONG_ANSWER_TOKENS = 160
"""Ten seconds and more on two cores: longer than a server without grace would live."""
END_SECONDS = 120
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


@pytest.fixture(scope="module")
def served(models: Models) -> Iterator[str]:
    length, count = MEASURED
    models.apply(
        NAME,
        {
            "source": from_hub(SMOLLM2),
            "quantization": {"method": "None"},
            "serving": {"contextLength": length, "concurrency": count},
            "accelerator": {"type": "CPU"},
        },
    )
    models.wait_ready(NAME)
    yield NAME
    models.delete(NAME)


def test_it_answers_in_the_chat_template_of_the_model(models: Models, served: str) -> None:
    assert models.get(served)["status"]["engine"] == "VLLM"
    assert ANSWER in models.chat(served)
    assert models.prompt(served) == templated(QUESTION)


def test_a_model_without_a_chat_template_continues_prompts(models: Models) -> None:
    """Measuring asks it in no chat either: vLLM refuses those."""
    models.apply(
        BASE,
        {
            "source": from_hub("test/base"),
            "quantization": {"method": "None"},
            "serving": {"contextLength": 256, "cpu": "1"},
            "accelerator": {"type": "CPU"},
        },
    )
    status = models.wait_ready(BASE)
    assert status["sizing"]["cpu"] == "1"
    answer = models.complete(BASE, model=BASE, prompt="The capital of", max_tokens=4, min_tokens=4)
    assert answer["usage"]["completion_tokens"] == 4
    models.delete(BASE)


@pytest.mark.parametrize(("length", "count"), SETTINGS)
def test_the_limit_lies_above_the_peak(
    models: Models, commands: Commands, served: str, length: int, count: int
) -> None:
    found = outcome_at(commands, models, served, length, count)
    assert found.measured == ((length, count) == MEASURED)
    assert len(models.jobs(served, "measure")) == 1
    assert found.limit_bytes >= found.peak_bytes


def test_metrics_count_what_was_asked(models: Models, served: str) -> None:
    before = _generated(models, served)
    models.complete(served, prompt=QUESTION, max_tokens=5, ignore_eos=True)
    wait_until(
        "five more tokens are counted",
        lambda: _generated(models, served) == before + 5,
        10,
        PAUSE_SECONDS,
    )


def _generated(models: Models, name: str) -> float:
    """Return how many tokens a server has generated, as its metrics say."""
    path = models.path(CORE, "services", f"{child_name(name)}:http")
    lines = str(models.kube.call("GET", f"{path}/proxy/metrics")).splitlines()
    (line,) = [each for each in lines if each.startswith("vllm:generation_tokens_total{")]
    return float(line.rpartition(" ")[2])


def test_a_request_that_has_begun_ends_though_its_server_goes(models: Models, served: str) -> None:
    (pod,) = models.pods(served)
    path = models.path(CORE, "pods", pod["metadata"]["name"])
    before = _generated(models, served)
    with ThreadPoolExecutor(1) as pool:
        asked = {"prompt": QUESTION, "max_tokens": LONG_ANSWER_TOKENS, "ignore_eos": True}
        answer = pool.submit(models.complete, served, **asked)
        wait_until("it has begun", lambda: _generated(models, served) > before, 30, PAUSE_SECONDS)
        models.kube.delete(path)
        models.kube.wait(path, _is_ending, 10, "ending")
        assert not answer.done(), "it ended before the server was told to: ask for more"
        assert answer.result()["usage"]["completion_tokens"] == LONG_ANSWER_TOKENS
    models.kube.wait(path, lambda found: found is None, END_SECONDS, "gone")
    models.wait_one_server(served)


def _is_ending(pod: Object | None) -> bool:
    return pod is not None and "deletionTimestamp" in pod["metadata"]


def test_an_engine_that_dies_in_a_living_container_is_noticed(
    models: Models, served: str, commands: Commands
) -> None:
    (pod,) = models.pods(served)
    path = models.path(CORE, "pods", pod["metadata"]["name"])
    words = ["exec", "-n", models.namespace, pod["metadata"]["name"], "-c", "server"]
    assert commands.kubectl(*words, "--", "python", "-c", KILL_ENGINE).strip() == "1"
    models.kube.wait(path, _was_restarted, READY_SECONDS, "restarted and ready")
    models.wait_ready(served)
    assert ANSWER in models.chat(served)


def _was_restarted(pod: Object | None) -> bool:
    state = None if pod is None else container_of(pod, "server")
    return pod is not None and state is not None and state["restartCount"] == 1 and is_ready(pod)
