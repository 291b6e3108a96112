"""The operator as a process of its own, with what its metrics say."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

PORT = 18080
START_SECONDS = 60
READING = ("get", "list", "watch")
_IMAGE = "registry.invalid/pretended:1"
LOG = Path("/tmp/qmodel-bench-operator.log")


@dataclass(frozen=True)
class Sample:
    """The operator's metrics at one moment."""

    reads: float
    writes: float
    passes: float
    cpu_seconds: float
    resident_mib: float

    @property
    def calls(self) -> float:
        """All requests to the API server."""
        return self.reads + self.writes


class OperatorProcess:
    """Starts, asks and ends an operator.

    Parameters
    ----------
    namespaces
        What it serves; none means all.
    """

    def __init__(self, namespaces: Sequence[str] = ()) -> None:
        self._namespaces = namespaces
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Start it."""
        self._log = LOG.open("wb")  # noqa: ASYNC230  nothing else runs meanwhile
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self.kill(signal.SIGTERM)
        if self._log is not None:
            self._log.close()

    async def start(self, *, wait: bool = True) -> None:
        """Start a process; with `wait` return once it has listed everything."""
        images = ("OPERATOR", "LLAMACPP", "LLAMACPP_WORKER")
        environment = {**os.environ, **{f"QMODEL_IMAGE_{name}": _IMAGE for name in images}}
        command = [sys.executable, "-m", "qmodel", "--dev", f"--health-port={PORT}"]
        command += [f"--namespace={namespace}" for namespace in self._namespaces]
        self._process = subprocess.Popen(  # noqa: ASYNC220  takes a millisecond
            command, env=environment, stdout=self._log, stderr=self._log
        )
        deadline = time.monotonic() + START_SECONDS
        while wait and b"Serving" not in LOG.read_bytes():  # noqa: ASYNC240  likewise
            if time.monotonic() > deadline or self._process.poll() is not None:
                message = f"the operator did not start; see {LOG}"
                raise RuntimeError(message)
            await asyncio.sleep(0.05)

    def kill(self, how: signal.Signals) -> None:
        """Send a signal and wait for the end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)

    async def sample(self) -> Sample:
        """Return the metrics as they are."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{PORT}/metrics") as answer,
        ):
            text = await answer.text()
        found = [s for f in text_string_to_metric_families(text) for s in f.samples]
        calls = [s for s in found if s.name == "qmodel_api_calls_total"]
        values = {s.name: s.value for s in found}
        return Sample(
            reads=sum(s.value for s in calls if s.labels["verb"] in READING),
            writes=sum(s.value for s in calls if s.labels["verb"] not in READING),
            passes=sum(s.value for s in found if s.name == "qmodel_reconciles_total"),
            cpu_seconds=values["process_cpu_seconds_total"],
            resident_mib=values["process_resident_memory_bytes"] / 2**20,
        )

    def peak_mib(self) -> float:
        """Return the highest resident memory so far, in MiB."""
        if self._process is not None:
            with contextlib.suppress(FileNotFoundError):
                for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
                    if line.startswith("VmHWM"):
                        return int(line.split()[1]) / 1024
        return 0.0
