"""vLLM on a GPU, artifact by artifact: whether its kernels compute what was judged.

The engine's kernels are its own. Asked for the log-probabilities of the very passages that the
judge scored, it has to say the same, in nats a token; and it has to answer a chat.
"""

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from operator import itemgetter
from pathlib import Path
from statistics import fmean

import httpx
from pydantic import JsonValue
from rich.console import Console
from rich.table import Table

from bench.gpu_memory import gpu_peak
from bench.gpu_server import MIB, THREADS, Served, served
from bench.steps import StepFailedError, run
from e2e.passages import PASSAGES
from qmodel.engines import ENGINES
from qmodel.sizing.load import Load
from qmodel.worker.errors import StepError
from qmodel.worker.measure.server import Server
from qmodel.worker.measure.vllm import VLLM
from qmodel.worker.report import Evaluation
from qmodel.worker.task import EvaluateTask, MeasureTask

LOAD = Load(2048, 4)
FIRST_PORT = 8100
"""Servers run side by side."""
ANSWER_TOKENS = 48
QUESTION = "What is the capital of France?"
COLUMNS = ("artifact", "started in s", "device MiB", "tokens", "served", "judged", "answer")


def show(
    model: Path, folders: list[Path], scratch: Path, interpreter: str, side: int, console: Console
) -> int:
    """Serve and judge each artifact of a model, some side by side; return 1 if one fails."""
    table = Table(title="Nats a token, by vLLM on a GPU and by the judge")
    for title in COLUMNS:
        table.add_column(title)
    with ThreadPoolExecutor(side) as pool:
        runs = {
            folder: pool.submit(_row, model, folder, scratch, interpreter, FIRST_PORT + number)
            for number, folder in enumerate(folders)
        }
        for folder, run_of in runs.items():
            try:
                cells = run_of.result()
            except (StepFailedError, StepError, httpx.HTTPError) as error:
                console.print(f"{folder.name} failed: {error}", soft_wrap=True, markup=False)
                continue
            console.print("done:", *cells, markup=False)
            table.add_row(*cells)
    console.print(table)
    return 0 if table.row_count == len(folders) else 1


def _row(model: Path, folder: Path, scratch: Path, interpreter: str, port: int) -> tuple[str, ...]:
    """Return the cells of one artifact."""
    chosen = served(folder, scratch, interpreter)
    with _server(chosen, port) as server, gpu_peak(server.pid) as peak:
        started = server.wait_until_ready(lambda _: None)
        log_probabilities = _log_probabilities(server)
        answer = _answer(server)
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


def _server(chosen: Served, port: int) -> Server:
    """Return the server that would be deployed, at a port of its own and with its variables."""
    engine, settings = ENGINES[chosen.engine], chosen.settings(LOAD)
    argv = engine.server_argv(settings)
    argv[argv.index("--port") + 1] = str(port)
    task = MeasureTask(
        engine=chosen.engine,
        directory=str(chosen.directory),
        argv=argv,
        port=port,
        context_length=LOAD.context_length,
        concurrency=LOAD.concurrency,
    )
    variables = (f"{name}={value}" for name, value in chosen.environment(LOAD).items())
    return Server(["env", *variables, *argv], port, VLLM(task))


def _log_probabilities(server: Server) -> list[float]:
    """Return those of every token but each passage's first."""
    passages: list[JsonValue] = [*PASSAGES]
    body = {"model": "gpu", "prompt": passages, "max_tokens": 1, "echo": True, "logprobs": 1}
    choices = server.post("/v1/completions", body)["choices"]
    ordered = sorted(choices, key=itemgetter("index"))
    return list(chain.from_iterable(one["logprobs"]["token_logprobs"][1:-1] for one in ordered))


def _answer(server: Server) -> str:
    """Return the likeliest answer to a question, as one line."""
    messages: list[JsonValue] = [{"role": "user", "content": QUESTION}]
    body = {"model": "gpu", "messages": messages, "max_tokens": ANSWER_TOKENS, "temperature": 0}
    answer = server.post("/v1/chat/completions", body)
    return " ".join(str(answer["choices"][0]["message"]["content"]).split())


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
