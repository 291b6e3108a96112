"""Full load: every slot's context filled at the same time, then generation in all of them."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import cycle, islice

import httpx
from pydantic import JsonValue

from qmodel.worker.errors import EngineFailed
from qmodel.worker.measure.server import Server
from qmodel.worker.progress import ProgressPart
from qmodel.worker.texts import passages

GENERATED_TOKENS = 32
"""Generated at the end of a full context."""
SPEED_TOKENS = 64
"""Generated in each slot to take the speed."""
STALL_SECONDS = 900.0
"""Longest time in which no stream moves: one batch of a large model on few cores."""
CHECK_SECONDS = 0.5


@dataclass
class Stream:
    """One request and what came of it."""

    prompt: list[int]
    generate: int
    first_token: float = 0.0
    """When the first token came, on the monotonic clock."""
    last_token: float = 0.0
    processed: int = 0
    """Prompt tokens that the server has worked through."""
    generated: int = 0

    @property
    def moved(self) -> int:
        """Tokens so far."""
        return self.processed + self.generated

    @property
    def tokens(self) -> int:
        """Tokens in the end."""
        return len(self.prompt) + self.generate


@dataclass(frozen=True)
class Speeds:
    """What a load showed."""

    prompt_tokens_per_second: float
    tokens_per_second: float


def first_token_seconds(server: Server) -> float:
    """Return the time to the first token of a short chat, which uses the chat template.

    Raises
    ------
    EngineFailed
        If the server refuses the chat.
    """
    chat: dict[str, JsonValue] = {
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": 8,
        "stream": True,
    }
    started = time.monotonic()
    for event in _events(server, "/v1/chat/completions", chat):
        choices = event.get("choices")
        if isinstance(choices, list) and choices and _has_content(choices[0]):
            break
    return time.monotonic() - started


def fill(server: Server, context_length: int, concurrency: int, progress: ProgressPart) -> Speeds:
    """Fill every slot to its last token at once, then take the speed of generation.

    Raises
    ------
    OutOfMemory, EngineFailed
        If the server dies, refuses a request or stalls.
    """
    tokens = _text_tokens(server)
    length = context_length - GENERATED_TOKENS
    full = [
        Stream(_rotated(tokens, slot * 101, length), GENERATED_TOKENS)
        for slot in range(concurrency)
    ]
    started = time.monotonic()
    _run(server, full, lambda share: progress.at(0.8 * share, "filling every context"))
    prompt_seconds = max(stream.first_token for stream in full) - started
    short = [Stream(_rotated(tokens, slot * 37, 16), SPEED_TOKENS) for slot in range(concurrency)]
    _run(server, short, lambda share: progress.at(0.8 + 0.2 * share, "taking the speed"))
    seconds = max(s.last_token for s in short) - min(s.first_token for s in short)
    return Speeds(
        prompt_tokens_per_second=sum(len(s.prompt) for s in full) / max(prompt_seconds, 1e-6),
        tokens_per_second=sum(s.generated - 1 for s in short) / max(seconds, 1e-6),
    )


def _run(server: Server, streams: list[Stream], on_share: Callable[[float], None]) -> None:
    """Run all streams at once; they end with the server at the latest."""
    pool = ThreadPoolExecutor(len(streams), thread_name_prefix="stream")
    try:
        futures = [pool.submit(_follow, server, stream) for stream in streams]
        _wait(server, streams, futures, on_share)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _wait(
    server: Server,
    streams: list[Stream],
    futures: list[Future[None]],
    on_share: Callable[[float], None],
) -> None:
    """Wait for all, reporting the share that is done; raise the first error or a stall."""
    total, moved, since = sum(stream.tokens for stream in streams), -1, time.monotonic()
    pending = set(futures)
    while pending:
        done, pending = wait(pending, CHECK_SECONDS, FIRST_EXCEPTION)
        for future in done:
            future.result()
        server.require_alive()
        now = sum(stream.moved for stream in streams)
        on_share(now / total)
        if now != moved:
            moved, since = now, time.monotonic()
        elif time.monotonic() - since > STALL_SECONDS:
            message = f"the server stalled for {STALL_SECONDS:.0f} s:\n{server.log()}"
            raise EngineFailed(message)


def _follow(server: Server, stream: Stream) -> None:
    """Send one request and note what comes back."""
    request: dict[str, JsonValue] = {
        "prompt": list[JsonValue](stream.prompt),
        "n_predict": stream.generate,
        "ignore_eos": True,
        "cache_prompt": False,
        "return_progress": True,
        "stream": True,
    }
    for event in _events(server, "/completion", request):
        if isinstance(state := event.get("prompt_progress"), dict):
            stream.processed = int(state["processed"])  # type: ignore[arg-type]
        else:
            stream.last_token = time.monotonic()
            stream.first_token = stream.first_token or stream.last_token
            stream.processed = len(stream.prompt)
            stream.generated += not event.get("stop")


def _events(
    server: Server, path: str, body: dict[str, JsonValue]
) -> Iterator[dict[str, JsonValue]]:
    """Yield the events that a request streams."""
    try:
        with server.client(None) as client, client.stream("POST", path, json=body) as response:
            if response.is_error:
                message = f"the server refused {path}: {response.read().decode()[:500]}"
                raise EngineFailed(message)
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line.removeprefix("data: "))
    except httpx.TransportError as error:
        raise server.reason_of_silence() from error


def _text_tokens(server: Server) -> list[int]:
    """Return token ids of real text: the built-in passages."""
    with server.client(60.0) as client:
        response = client.post("/tokenize", json={"content": "\n\n".join(passages("evaluation"))})
        tokens: list[int] = response.raise_for_status().json()["tokens"]
        return tokens


def _rotated(tokens: list[int], offset: int, length: int) -> list[int]:
    """Return `length` tokens from `offset` on, around the end: no two slots share a prefix."""
    return list(islice(cycle(tokens), offset, offset + length))


def _has_content(choice: JsonValue) -> bool:
    delta = choice.get("delta") if isinstance(choice, dict) else None
    return isinstance(delta, dict) and bool(delta.get("content") or delta.get("reasoning_content"))
