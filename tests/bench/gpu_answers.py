"""vLLM on a GPU, artifact by artifact: whether its kernels compute what was judged.

The engine's kernels are its own. Asked for the log-probabilities of the very passages that the
judge scored, it has to say the same, in nats a token; and it has to answer a chat.
"""

import math
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx
from rich.table import Table

from bench.gpu_memory import gpu_peak
from bench.gpu_server import MIB, THREADS, Served, served
from bench.steps import StepFailedError, run
from e2e.passages import PASSAGES
from qmodel.engines import ENGINES
from qmodel.sizing.load import Load
from qmodel.worker.report import Evaluation
from qmodel.worker.task import EvaluateTask

LOAD = Load(2048, 4)
FIRST_PORT = 8100
"""Servers run side by side."""
START_SECONDS = 300
ANSWER_TOKENS = 48
QUESTION = "What is the capital of France?"
LAST_LINES = 12
COLUMNS = ("artifact", "started in s", "device MiB", "tokens", "served", "judged", "answer")


def table(model: Path, folders: list[Path], scratch: Path, interpreter: str, side: int) -> Table:
    """Serve and judge each artifact of a model, some side by side; return a line each."""
    found = Table(title="Nats a token, by vLLM on a GPU and by the judge")
    for title in COLUMNS:
        found.add_column(title)

    def row(port: int, folder: Path) -> tuple[str, ...]:
        try:
            return _row(model, folder, scratch, interpreter, port)
        except (StepFailedError, httpx.HTTPError, OSError, subprocess.SubprocessError) as error:
            return (folder.name, str(error))

    with ThreadPoolExecutor(side) as pool:
        for cells in pool.map(row, range(FIRST_PORT, FIRST_PORT + len(folders)), folders):
            print(*cells, flush=True)
            found.add_row(*cells)
    return found


def _row(model: Path, folder: Path, scratch: Path, interpreter: str, port: int) -> tuple[str, ...]:
    """Return the cells of one artifact."""
    chosen = served(folder, scratch, interpreter)
    with _server(chosen, scratch / folder.name, port) as (client, peak, started):
        log_probabilities = _log_probabilities(client)
        answer = _answer(client)
    judged = _judged(model, chosen.directory, scratch / folder.name)
    return (
        folder.name,
        f"{started:.0f}",
        f"{peak.highest / MIB:.0f}",
        f"{len(log_probabilities)} of {judged.tokens}",
        f"{-fmean(log_probabilities):.3f}",
        f"{math.log(judged.perplexity):.3f}",
        answer,
    )


@contextmanager
def _server(chosen: Served, scratch: Path, port: int) -> Iterator[tuple[httpx.Client, Any, float]]:
    """Yield a client of a started server, its GPU memory and the seconds that it took to start."""
    engine = ENGINES[chosen.engine]
    argv = engine.server_argv(chosen.settings(LOAD))
    argv[argv.index("--port") + 1] = str(port)
    log = scratch / "server.log"
    began = time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            argv, stdout=output, stderr=output, env=chosen.environment(LOAD)
        ) as process,
        gpu_peak(process.pid) as peak,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=START_SECONDS) as client,
    ):
        try:
            _wait_until_ready(process, client, engine.health_path, log)
            yield client, peak, time.monotonic() - began
        finally:
            process.terminate()


def _wait_until_ready(
    process: subprocess.Popen[bytes], client: httpx.Client, path: str, log: Path
) -> None:
    """Wait for a server's health, as long as it lives."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if client.get(path).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
    message = f"the server did not start:\n{last}"
    raise StepFailedError(message)


def _log_probabilities(client: httpx.Client) -> list[float]:
    """Return those of every token but each passage's first."""
    body = {"model": "gpu", "prompt": PASSAGES, "max_tokens": 1, "echo": True, "logprobs": 1}
    choices = _post(client, "/v1/completions", body)["choices"]
    ordered = sorted(choices, key=itemgetter("index"))
    return list(chain.from_iterable(one["logprobs"]["token_logprobs"][1:-1] for one in ordered))


def _answer(client: httpx.Client) -> str:
    """Return the likeliest answer to a question, as one line."""
    messages = [{"role": "user", "content": QUESTION}]
    body = {"model": "gpu", "messages": messages, "max_tokens": ANSWER_TOKENS, "temperature": 0}
    answer = _post(client, "/v1/chat/completions", body)
    return " ".join(str(answer["choices"][0]["message"]["content"]).split())


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = client.post(path, json=body).raise_for_status().json()
    return answer


def _judged(model: Path, directory: Path, scratch: Path) -> Evaluation:
    """Return what the judge says of the same passages."""
    text = scratch / "passages.txt"
    text.write_text("\n\n".join(PASSAGES))
    task = EvaluateTask(
        source_directory=str(model),
        directory=str(directory),
        text_file=str(text),
        threads=THREADS,
    )
    return Evaluation.model_validate(run(sys.executable, task, scratch).report["evaluation"])
