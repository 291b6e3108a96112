"""Full load: every slot's context filled at the same time, then generation in all of them."""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from dataclasses import dataclass
from itertools import cycle, islice

from pydantic import JsonValue

from qmodel.worker.errors import EngineFailed
from qmodel.worker.measure.engine import MeasuredEngine, Stream
from qmodel.worker.measure.server import Server
from qmodel.worker.progress import ProgressPart
from qmodel.worker.task import MeasureTask
from qmodel.worker.texts import passages

GENERATED_TOKENS = 32
"""Generated at the end of a full context."""
SPEED_TOKENS = 64
"""Generated in each slot to take the speed."""
QUESTION = "What is the capital of France?"
CHECK_SECONDS = 0.5
LEAD_SECONDS = 0.1
"""By how much the stream that goes ahead is earlier."""


@dataclass(frozen=True)
class Speeds:
    """What a load showed."""

    prompt_tokens_per_second: float
    tokens_per_second: float


def first_token_seconds(server: Server, model: str, *, chats: bool) -> float:
    """Return the time to the first token of a short question.

    Parameters
    ----------
    chats
        Whether to ask it in a chat, which uses the chat template.

    Raises
    ------
    EngineFailed
        If the server refuses the request.
    """
    asked: dict[str, JsonValue] = {"prompt": QUESTION}
    if chats:
        asked = {"messages": [{"role": "user", "content": QUESTION}]}
    request: dict[str, JsonValue] = {"model": model, "max_tokens": 8, "stream": True, **asked}
    path = "/v1/chat/completions" if chats else "/v1/completions"
    started = time.monotonic()
    for event in server.events(path, request):
        choices = event.get("choices")
        if isinstance(choices, list) and choices and _has_content(choices[0]):
            break
    return time.monotonic() - started


def fill(
    server: Server,
    engine: MeasuredEngine,
    task: MeasureTask,
    pool: Executor,
    progress: ProgressPart,
) -> Speeds:
    """Fill every slot to its last token at once, then take the speed of generation.

    Requests of a load that failed run on in the pool, until the server ends.

    Raises
    ------
    OutOfMemory, EngineFailed
        If the server dies, refuses a request or stalls.
    """
    tokens = engine.tokens(server, "\n\n".join(passages("evaluation")))
    length = task.context_length - GENERATED_TOKENS
    slots = range(task.concurrency)
    full = [
        Stream(_rotated(tokens, slot * 101, length), GENERATED_TOKENS, sampled=True)
        for slot in slots
    ]
    started = time.monotonic()
    ahead = engine.ahead(tokens)
    load = _Load(server, engine, pool)
    load.run(full, lambda s: progress.at(0.8 * s, "filling every context"), ahead)
    prompt_seconds = max(stream.first_token for stream in full) - started
    short = [Stream(_rotated(tokens, slot * 37, 16), SPEED_TOKENS) for slot in slots]
    load.run(short, lambda s: progress.at(0.8 + 0.2 * s, "taking the speed"))
    seconds = max(s.last_token for s in short) - min(s.first_token for s in short)
    return Speeds(
        prompt_tokens_per_second=sum(len(s.prompt) for s in full) / max(prompt_seconds, 1e-6),
        tokens_per_second=sum(s.generated - 1 for s in short) / max(seconds, 1e-6),
    )


@dataclass(frozen=True)
class _Load:
    """Runs streams against one server."""

    server: Server
    engine: MeasuredEngine
    pool: Executor
    """With a thread for each stream, and one for that ahead."""

    def run(
        self,
        streams: list[Stream],
        on_share: Callable[[float], None],
        ahead: Stream | None = None,
    ) -> None:
        """Run all streams at once, behind the one ahead."""
        futures = []
        if ahead is not None:
            futures.append(self._follow(ahead))
            time.sleep(LEAD_SECONDS)
        futures += [self._follow(stream) for stream in streams]
        self._wait(streams, futures, on_share)

    def _follow(self, stream: Stream) -> Future[None]:
        return self.pool.submit(self.engine.follow, self.server, stream)

    def _wait(
        self,
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
            self.server.require_alive()
            now = sum(stream.moved for stream in streams)
            on_share(now / total)
            if now != moved:
                moved, since = now, time.monotonic()
            elif time.monotonic() - since > self.engine.stall_seconds:
                limit = self.engine.stall_seconds
                message = f"the server stalled for {limit:.0f} s:\n{self.server.log()}"
                raise EngineFailed(message)


def _rotated(tokens: list[int], offset: int, length: int) -> list[int]:
    """Return `length` tokens from `offset` on, around the end: no two slots share a prefix."""
    return list(islice(cycle(tokens), offset, offset + length))


def _has_content(choice: JsonValue) -> bool:
    if not isinstance(choice, dict):
        return False
    delta = choice.get("delta", choice)  # a completion's text is not in a message
    told = ("content", "reasoning_content", "text")
    return isinstance(delta, dict) and any(delta.get(name) for name in told)
