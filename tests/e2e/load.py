"""Filling every slot of a server with real requests, and reading what it then holds.

Shared by the end-to-end tests of sizing and by `make bench-sizing`.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from demo.commands import Commands
from e2e.models import CORE, Models, container_of

GENERATED_TOKENS = 16
FIRST_TOKEN = 1000
"""From here on a vocabulary has words; no slot begins as another does."""
OTHER_ROUNDS = 2
"""Of short prompts, after every slot is full."""
MARGIN_SHARE = 0.05
MARGIN_BYTES = 32 * 2**20
SAMPLE = """
while :; do
  if [ -f /sys/fs/cgroup/memory.stat ]; then
    cat /sys/fs/cgroup/memory.stat
  else
    cat /sys/fs/cgroup/memory/memory.stat
    echo "kernel $(cat /sys/fs/cgroup/memory/memory.kmem.usage_in_bytes)"
  fi
  echo end
  sleep 0.1
done
"""
PARTS = (("anon", "shmem", "kernel"), ("rss", "shmem", "kernel"))
"""Of cgroup version 2 and of version 1: anonymous, shared and kernel memory."""


@dataclass(frozen=True)
class Outcome:
    """What one server was given and what it took."""

    context_length: int
    concurrency: int
    limit_bytes: int
    predicted_bytes: int
    peak_bytes: int
    measured: bool
    """Whether this setting was measured; the others follow by arithmetic."""

    @property
    def spare_bytes(self) -> int:
        return self.limit_bytes - self.peak_bytes

    @property
    def most_spare_bytes(self) -> int:
        """Return what a limit may lie above the peak."""
        return int(self.peak_bytes * MARGIN_SHARE) + MARGIN_BYTES


class MemorySamples:
    """Samples the memory of a server's container, from inside, for the time of a block."""

    def __init__(self, commands: Commands, models: Models, pod: str) -> None:
        words = ["kubectl", "exec", "-n", models.namespace, pod, "-c", "server", "--"]
        self._words = [*words, "sh", "-c", SAMPLE]
        self._environment = commands.environment

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._words, env=self._environment, stdout=subprocess.PIPE, text=True
        )
        self._pool = ThreadPoolExecutor(1)
        self._reading = self._pool.submit(self._read)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self.peak_bytes = self._reading.result()
        self._pool.shutdown()

    def _read(self) -> int:
        """Return the largest sum of the parts in any sample."""
        peak = 0
        fields: dict[str, int] = {}
        for line in self._process.stdout or ():
            name, _, value = line.strip().partition(" ")
            if value.isdecimal():
                fields[name] = int(value)
            if name == "end":
                peak = max(peak, sum_of(fields))
        if self._process.stdout is not None:
            self._process.stdout.close()
        return peak


def sum_of(fields: dict[str, int]) -> int:
    """Return anonymous, shared and kernel memory of one reading."""
    version_2, version_1 = PARTS
    parts = version_2 if "anon" in fields else version_1
    return sum(fields.get(name, 0) for name in parts)


def fill(models: Models, name: str, context_length: int, concurrency: int) -> None:
    """Fill every slot at once to its last token; any token will do."""

    def ask(slot: int) -> int:
        prompt = [FIRST_TOKEN + slot + i for i in range(context_length - GENERATED_TOKENS)]
        usage = models.complete(
            name,
            prompt=prompt,
            max_tokens=GENERATED_TOKENS - 1,
            ignore_eos=True,
            cache_prompt=False,
        )["usage"]
        return int(usage["prompt_tokens"] + usage["completion_tokens"])

    with ThreadPoolExecutor(concurrency) as pool:
        used = list(pool.map(ask, range(concurrency)))
    assert min(used) >= context_length - GENERATED_TOKENS, used


def take_turns(models: Models, name: str, concurrency: int) -> None:
    """Ask something else in every slot, and again: where full slots are kept, they are now."""

    def ask(number: int) -> None:
        models.complete(name, prompt=f"{number * 7919} is a number, and so is", max_tokens=1)

    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(ask, range(1, OTHER_ROUNDS * concurrency + 1)))


def outcome_at(
    commands: Commands, models: Models, name: str, context_length: int, concurrency: int
) -> Outcome:
    """Have a model serve another setting, and load its server in full."""
    models.edit(name, serving={"contextLength": context_length, "concurrency": concurrency})
    models.wait_ready(name)
    models.wait_one_server(name)
    return outcome(commands, models, name)


def outcome(commands: Commands, models: Models, name: str) -> Outcome:
    """Load one model's only server in full; return what it was given and what it took."""
    status = models.wait_ready(name)
    sizing, footprint = status["sizing"], status["footprint"]
    (pod,) = models.pods(name)
    pod_name = pod["metadata"]["name"]
    with MemorySamples(commands, models, pod_name) as samples:
        fill(models, name, sizing["contextLength"], sizing["concurrency"])
        take_turns(models, name, sizing["concurrency"])
    found = models.kube.call("GET", models.path(CORE, "pods", pod_name))
    server = container_of(found, "server")
    assert server is not None
    assert server["restartCount"] == 0, server
    setting = ("contextLength", "concurrency")
    return Outcome(
        context_length=sizing["contextLength"],
        concurrency=sizing["concurrency"],
        limit_bytes=sizing["memoryBytes"],
        predicted_bytes=sizing["predictedPeakBytes"],
        peak_bytes=samples.peak_bytes,
        measured=all(sizing[key] == footprint[key] for key in setting),
    )
