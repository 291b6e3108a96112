"""The operator as a process of its own, with what its metrics say."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bench.pod_view import PodView
from qmodel.settings import IMAGE_VARIABLES

PORT = 18080
START_SECONDS = 60
READING = ("get", "list", "watch")
_IMAGE = "registry.invalid/pretended:1"


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
    arguments
        Further arguments.
    port
        Of its metrics; another for each that runs at once.
    view
        To run as in its pod; by default it runs as from a shell, by the kubeconfig.
    environment
        Variables beside those of this process; by default they name images that nobody has.
    """

    def __init__(
        self,
        namespaces: Sequence[str] = (),
        arguments: Sequence[str] = (),
        port: int = PORT,
        view: PodView | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._arguments = [f"--namespace={name}" for name in namespaces] + list(arguments)
        self._port = port
        self._view = view
        self._environment = environment or dict.fromkeys(IMAGE_VARIABLES.values(), _IMAGE)
        self.log = Path(tempfile.gettempdir()) / f"qmodel-operator-{port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Start it."""
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

    def spawn(self) -> None:
        """Start a process."""
        environment = {**os.environ, **self._environment}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        command = [sys.executable, "-m", "qmodel", "--dev", f"--health-port={self._port}"]
        command += self._arguments
        if self._view is not None:
            environment |= self._view.environment(environment["PYTHONPATH"])
            command = self._view.command(command)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    async def start(self) -> None:
        """Start a process; return once it has listed everything."""
        self.spawn()
        deadline = time.monotonic() + START_SECONDS
        while not self.is_serving():
            if time.monotonic() > deadline or self._has_ended():
                message = f"the operator did not start; see {self.log}"
                raise RuntimeError(message)
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Run it without waiting until it serves, as it may have to follow another."""
        self.spawn()
        try:
            yield
        finally:
            self.kill(signal.SIGTERM)

    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def is_serving(self) -> bool:
        """Whether it has listed everything and works."""
        return b"Serving" in self.log.read_bytes()

    def kill(self, how: signal.Signals) -> int:
        """Send a signal, wait for the end and return the exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(how)
        return self._process.wait(timeout=30)

    async def sample(self) -> Sample:
        """Return the metrics as they are."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self._port}/metrics") as answer,
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
