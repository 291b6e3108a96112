"""The server under measurement: started as it will be served, ended by its own id."""

import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import httpx

from qmodel.worker.errors import EngineFailed, OutOfMemory, StepError
from qmodel.worker.measure.buffers import Buffers
from qmodel.worker.measure.memory import out_of_memory_kills

LOAD_SECONDS = 3600.0
"""Longest time that loading may take: slow network volumes bring 50 MB/s."""
STOP_SECONDS = 30.0
EXIT_SECONDS = 2.0
"""Time between a broken connection and the end of the process that broke it."""
POLL_SECONDS = 0.05
LINES_KEPT = 8
LINE_LENGTH = 300
VERBOSITY = ("--verbosity", "4")
"""Makes the server print its buffers. It changes what is logged and nothing that is allocated;
the last of repeated flags counts."""


class Server:
    """A server process; a context manager.

    Parameters
    ----------
    argv
        Its command line.
    port
        Where it listens.
    """

    def __init__(self, argv: Sequence[str], port: int) -> None:
        self._argv = [*argv, *VERBOSITY]
        self._url = f"http://127.0.0.1:{port}"
        self._tail: deque[str] = deque(maxlen=LINES_KEPT)
        self.buffers = Buffers()

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
        )
        self._reader = threading.Thread(target=self._read_log, name="server-log", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ask the process to end, and end it if it does not."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def client(self, seconds: float | None) -> httpx.Client:
        """Return a client whose reads end after `seconds` without a byte, or never."""
        return httpx.Client(base_url=self._url, timeout=httpx.Timeout(5.0, read=seconds))

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

    def reason_of_silence(self) -> StepError:
        """Return why a request failed; the process may be about to be gone."""
        try:
            self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return EngineFailed(f"the server does not answer:\n{self.log()}")
        return self._cause_of_death()

    def _cause_of_death(self) -> StepError:
        self._reader.join()
        code = self._process.returncode
        if code == -signal.SIGKILL or out_of_memory_kills() > self._kills:
            return OutOfMemory("the server was killed: the container reached its memory limit")
        how = f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        return EngineFailed(f"the server ended with {how}:\n{self.log()}")

    def log(self) -> str:
        """Return the last lines of the log, short enough for a report."""
        return "\n".join(line[:LINE_LENGTH] for line in self._tail)

    def _read_log(self) -> None:
        for line in self._process.stdout or ():
            if stripped := line.strip():
                self._tail.append(stripped)
                self.buffers.line(stripped)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def engine_version(program: str) -> str:
    """Return what the server says of its version, on one line.

    Raises
    ------
    EngineFailed
        If it cannot be started at all.
    """
    try:
        done = subprocess.run(  # noqa: S603  argv, never a shell line
            [program, "--version"], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError as error:
        message = f"{program} cannot be started: {error}"
        raise EngineFailed(message) from error
    lines = (done.stdout + done.stderr).splitlines()
    found = next((line for line in lines if line.startswith("version:")), "version: unknown")
    return found.removeprefix("version:").strip()
