"""llama-server under measurement."""

import subprocess
import time

from pydantic import JsonValue

from qmodel.worker.errors import EngineFailed
from qmodel.worker.measure.buffers import Buffers
from qmodel.worker.measure.engine import Parts, Peaks, Stream
from qmodel.worker.measure.server import Server, value_of
from qmodel.worker.task import MeasureTask

VERSION_SECONDS = 60
VERBOSITY = ("--verbosity", "4")
"""Makes the server print its buffers. It changes what is logged and nothing that is allocated;
the last of repeated flags counts."""


class LlamaCpp:
    """What its log says, and its own completion endpoint, which tells of a prompt's progress."""

    exit_seconds = 2.0
    stall_seconds = 3600.0
    """A batch of 2048 tokens of 8 B weights takes as long on two threads that others slow down."""

    def __init__(self, task: MeasureTask) -> None:
        self._task = task
        self._buffers = Buffers()

    @property
    def argv(self) -> list[str]:
        """The server's command line, at the verbosity that prints its buffers."""
        return [*self._task.argv, *VERBOSITY]

    def version(self) -> str:
        """Return what the server says of its version, on one line.

        Raises
        ------
        EngineFailed
            If it cannot be started at all.
        """
        program = self._task.argv[0]
        try:
            done = subprocess.run(  # noqa: S603  argv, never a shell line
                [program, "--version"],
                capture_output=True,
                text=True,
                timeout=VERSION_SECONDS,
                check=False,
            )
        except OSError as error:
            message = f"{program} cannot be started: {error}"
            raise EngineFailed(message) from error
        lines = (done.stdout + done.stderr).splitlines()
        found = next((line for line in lines if line.startswith("version:")), "version: unknown")
        return found.removeprefix("version:").strip()

    def read(self, line: str) -> None:
        """Take one line of the server's log."""
        self._buffers.line(line)

    def errors(self) -> list[str]:
        """Return nothing: its last lines tell why it ended."""
        return []

    def model_name(self) -> str:
        """Return the name that the server answers to."""
        return value_of(self._task.argv, "--alias")

    def tokens(self, server: Server, text: str) -> list[int]:
        """Return the model's tokens of a text."""
        answer = server.post("/tokenize", {"content": text})
        tokens: list[int] = answer["tokens"]
        return tokens

    def ahead(self, tokens: list[int]) -> Stream | None:
        """Return nothing: a slot of its own waits for each request."""
        del tokens
        return None

    def follow(self, server: Server, stream: Stream) -> None:
        """Send one request and note what comes back."""
        request: dict[str, JsonValue] = {
            "prompt": list[JsonValue](stream.prompt),
            "n_predict": stream.generate,
            "ignore_eos": True,
            "cache_prompt": False,
            "return_progress": True,
            "stream": True,
        }
        for event in server.events("/completion", request):
            if isinstance(state := event.get("prompt_progress"), dict):
                stream.processed = int(state["processed"])  # type: ignore[arg-type]
            else:
                stream.last_token = time.monotonic()
                stream.first_token = stream.first_token or stream.last_token
                stream.processed = len(stream.prompt)
                stream.generated += not event.get("stop")

    def parts(self, peaks: Peaks) -> Parts:
        """Return the printed buffers, and what the peak holds beyond those of the host.

        A GPU holds more than the printed buffers: the library's own context and its workspace.
        """
        buffers = self._buffers
        return Parts(
            weights=buffers.weights,
            kv=buffers.kv,
            compute=buffers.compute,
            other=max(peaks.peak - buffers.host, 0),
            device=max(buffers.device, peaks.device),
            kv_per_token=buffers.kv_bytes_per_token(self._task.context_length),
        )
