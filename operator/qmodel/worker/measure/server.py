"""The server under measurement: started as it will be served, ended by its own id."""

import json
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
from pydantic import JsonValue

from qmodel.worker.errors import EngineFailed, OutOfMemory, StepError
from qmodel.worker.measure.memory import out_of_memory_kills

LOAD_SECONDS = 3600.0
"""Longest time that loading may take: slow network volumes bring 50 MB/s."""
STOP_SECONDS = 30.0
ANSWER_SECONDS = 60.0
POLL_SECONDS = 0.05
LINES_KEPT = 8
LINE_LENGTH = 300


class Reader(Protocol):
    """Reads the log of one engine's server."""

    exit_seconds: float
    """Time between a broken connection and the end of the process that broke it."""

    def read(self, line: str) -> None:
        """Take one line."""

    def errors(self) -> list[str]:
        """Return the lines so far that tell what went wrong, if the last ones do not."""


class Server:
    """A server and the processes that it starts; a context manager.

    Parameters
    ----------
    argv
        Its command line.
    port
        Where it listens.
    reader
        Takes its log.
    """

    def __init__(self, argv: Sequence[str], port: int, reader: Reader) -> None:
        self._argv = argv
        self._url = f"http://127.0.0.1:{port}"
        self._tail: deque[str] = deque(maxlen=LINES_KEPT)
        self._reader = reader

    def __enter__(self) -> Self:
        """Start the process; it is not yet ready."""
        self._kills = out_of_memory_kills()
        self._process = subprocess.Popen(  # noqa: S603  argv, never a shell line
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._read_log, name="server-log", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask the process to end, and end what does not, with all that it started."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._kill_group()
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _kill_group(self) -> None:
        """End the processes that outlived the first, which would keep its log open."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def client(self, seconds: float | None) -> httpx.Client:
        """Return a client whose reads end after `seconds` without a byte, or never."""
        return httpx.Client(base_url=self._url, timeout=httpx.Timeout(5.0, read=seconds))

    def post(self, path: str, body: dict[str, JsonValue]) -> dict[str, Any]:
        """Return the JSON that a short request is answered with."""
        with self.client(ANSWER_SECONDS) as client:
            answer: dict[str, Any] = client.post(path, json=body).raise_for_status().json()
            return answer

    def events(self, path: str, body: dict[str, JsonValue]) -> Iterator[dict[str, JsonValue]]:
        """Yield the events that a request streams.

        Raises
        ------
        OutOfMemory, EngineFailed
            If the server refuses the request or dies.
        """
        try:
            with self.client(None) as client, client.stream("POST", path, json=body) as response:
                if response.is_error:
                    raise self._refusal(response, path)
                for line in response.iter_lines():
                    if line.startswith("data: {"):
                        yield json.loads(line.removeprefix("data: "))
        except httpx.TransportError as error:
            raise self.reason_of_silence() from error

    def wait_until_ready(self, on_wait: Callable[[float], None]) -> float:
        """Wait until the model is loaded; return the seconds since the call.

        Parameters
        ----------
        on_wait
            Called with the seconds waited so far.

        Raises
        ------
        OutOfMemory, EngineFailed
            If the server dies or is not ready in time.
        """
        started = time.monotonic()
        with self.client(5.0) as client:
            while (waited := time.monotonic() - started) < LOAD_SECONDS:
                self.require_alive()
                if _is_ready(client):
                    return waited
                on_wait(waited)
                time.sleep(POLL_SECONDS)
        message = f"the server was not ready after {LOAD_SECONDS:.0f} s:\n{self.log()}"
        raise EngineFailed(message)

    def require_alive(self) -> None:
        """Raise what the server died of, if it did.

        Raises
        ------
        OutOfMemory
            If it was killed for memory.
        EngineFailed
            Otherwise; the message ends with its last lines.
        """
        if self._process.poll() is not None:
            raise self._cause_of_death()

    def reason_of_silence(self, otherwise: str = "the server does not answer") -> StepError:
        """Return why a request failed; the process may be about to be gone."""
        try:
            self._process.wait(self._reader.exit_seconds)
        except subprocess.TimeoutExpired:
            return EngineFailed(f"{otherwise}:\n{self.log()}")
        return self._cause_of_death()

    def _refusal(self, response: httpx.Response, path: str) -> StepError:
        """Return why a request was answered with an error; a server may die of what it says."""
        message = f"the server refused {path}: {response.read().decode()[:500]}"
        if response.is_server_error:
            return self.reason_of_silence(message)
        return EngineFailed(message)

    def _cause_of_death(self) -> StepError:
        self._kill_group()
        self._thread.join()
        code = self._process.returncode
        if code == -signal.SIGKILL or out_of_memory_kills() > self._kills:
            return OutOfMemory("the server was killed: the container reached its memory limit")
        how = f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        return EngineFailed(f"the server ended with {how}:\n{self.log()}")

    def log(self) -> str:
        """Return the lines of the log that tell most, short enough for a report."""
        lines = dict.fromkeys([*self._reader.errors(), *self._tail])
        return "\n".join(line[:LINE_LENGTH] for line in lines)

    def _read_log(self) -> None:
        for line in self._process.stdout or ():
            if stripped := line.strip():
                self._tail.append(stripped)
                self._reader.read(stripped)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def value_of(argv: Sequence[str], flag: str) -> str:
    """Return what follows a flag of a command line."""
    return argv[argv.index(flag) + 1]
