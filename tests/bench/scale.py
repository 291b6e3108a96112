"""Many models at once on nodes that kwok pretends: what the operator costs, and how fast it is.

Jobs complete by a Stage that leaves each step's report, servers are Running at once; so what is
measured is the operator, the API server and the controllers, not the models. The yardstick is the
same objects posted without an operator, all at once: the least that the cluster itself needs.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench import fleet, installed
from bench.operator_process import OperatorProcess
from bench.pod_view import PodView, pod_view
from bench.pretended import stage
from cluster import kwok, target
from qmodel.cluster.client import ApiClient
from qmodel.cluster.credentials import load
from qmodel.cluster.kinds import DEPLOYMENT, JOB, MODEL, SERVICE

NODES = 20
READY_SECONDS = 600
IDLE_SECONDS = 60
SETTLE_SECONDS = 5
"""Time for the last events of a burst, before the idle minute is counted."""
LOST_CHILDREN = 10
KILLS = 3
"""A start lasts a few seconds, in which whatever else the machine does shows: the median counts."""

MAX_SLOWDOWN = 2.0
MAX_CALLS_PER_MODEL = 20
MAX_CPU_MS_PER_MODEL = 20
MAX_RESIDENT_MIB = 120
MAX_IDLE_READS = 2
MAX_RETURN_SECONDS = 1.0
MAX_FIRST_JOB_SECONDS = 3.0


def main() -> int:
    """Run the benchmark; return 0 if every figure is within its bound."""
    parser = argparse.ArgumentParser(prog="python tests/bench scale", description=__doc__)
    parser.add_argument("--models", type=int, default=300)
    chosen = parser.parse_args()
    target.up()
    with tempfile.TemporaryDirectory() as folder:
        pod_end, kubeconfig = Path(folder) / "stage.yaml", Path(folder) / "kubeconfig"
        files = Path(folder) / "account"
        files.mkdir()
        pod_end.write_text(stage())
        kubeconfig.write_text(target.kubeconfig())
        os.environ["KUBECONFIG"] = str(kubeconfig)
        installed.define()
        kwok.up(NODES, pod_end, None)
        try:
            with installed.paused(), pod_view(files) as view:
                return asyncio.run(_run(chosen.models, view))
        finally:
            kwok.down()


async def _run(models: int, view: PodView) -> int:
    """Measure, print, judge."""
    figures = Figures()
    async with _client() as client:
        await fleet.clean(client)
        await fleet.prepare(client, models)
        try:
            async with OperatorProcess(fleet.NAMESPACES, view=view) as operator:
                await _rise(client, operator, models, figures)
                await _idle(operator, figures)
                await _lose_children(client, figures)
                await _kill(client, operator, figures)
            await _compare(client, models, figures)
        finally:
            await fleet.clean(client)
    return figures.judge()


class Figures:
    """What was measured, each with the bound that it must not exceed."""

    def __init__(self) -> None:
        self._misses = 0
        self.ready_seconds = 0.0

    def tell(self, what: str, value: float, unit: str, bound: float | None = None) -> None:
        """Print one figure."""
        if bound is None:
            print(f"{what:<56} {value:>9.1f} {unit}", flush=True)
            return
        missed = value > bound
        self._misses += missed
        verdict = "MISSED" if missed else "ok"
        print(f"{what:<56} {value:>9.1f} {unit:<8} at most {bound:g}: {verdict}", flush=True)

    def judge(self) -> int:
        """Return the exit status."""
        print(f"{self._misses} figures missed" if self._misses else "all figures reached")
        return 1 if self._misses else 0


async def _rise(
    client: ApiClient, operator: OperatorProcess, models: int, figures: Figures
) -> None:
    """All models from apply to Ready."""
    before = await operator.sample()
    started = time.monotonic()
    ready = asyncio.create_task(fleet.all_ready(client, models))
    await fleet.post_models(client, models)
    figures.tell(f"posting {models} models", time.monotonic() - started, "s")
    await asyncio.wait_for(ready, READY_SECONDS)
    figures.ready_seconds = time.monotonic() - started
    figures.tell("until all are Ready", figures.ready_seconds, "s")
    await asyncio.sleep(SETTLE_SECONDS)
    after = await operator.sample()
    calls = (after.calls - before.calls) / models
    figures.tell("API calls a model", calls, "", MAX_CALLS_PER_MODEL)
    cpu_ms = 1000 * (after.cpu_seconds - before.cpu_seconds) / models
    figures.tell("operator CPU a model", cpu_ms, "ms", MAX_CPU_MS_PER_MODEL)
    figures.tell("passes a model", (after.passes - before.passes) / models, "")
    figures.tell("operator CPU before the first model", before.cpu_seconds, "s")
    figures.tell("resident memory", after.resident_mib, "MiB", MAX_RESIDENT_MIB)
    figures.tell("peak resident memory", operator.peak_mib(), "MiB", MAX_RESIDENT_MIB)


async def _idle(operator: OperatorProcess, figures: Figures) -> None:
    """A minute in which nothing happens."""
    before = await operator.sample()
    await asyncio.sleep(IDLE_SECONDS)
    after = await operator.sample()
    figures.tell("writes in an idle minute", after.writes - before.writes, "", 0)
    figures.tell("reads in an idle minute", after.reads - before.reads, "", MAX_IDLE_READS)
    cpu_ms = 1000 * (after.cpu_seconds - before.cpu_seconds)
    figures.tell("operator CPU in an idle minute", cpu_ms, "ms")


async def _lose_children(client: ApiClient, figures: Figures) -> None:
    """Deployments and Services that someone deletes come back."""
    lost = [
        *(
            (DEPLOYMENT, child)
            for child in await fleet.some(client, DEPLOYMENT, LOST_CHILDREN // 2)
        ),
        *((SERVICE, child) for child in await fleet.some(client, SERVICE, LOST_CHILDREN // 2)),
    ]
    started = time.monotonic()
    await asyncio.gather(*(fleet.delete(client, kind, child) for kind, child in lost))
    await asyncio.gather(*(fleet.returned(client, kind, child) for kind, child in lost))
    seconds = time.monotonic() - started
    figures.tell(f"{len(lost)} deleted children are back after", seconds, "s", MAX_RETURN_SECONDS)


async def _kill(client: ApiClient, operator: OperatorProcess, figures: Figures) -> None:
    """After SIGKILL, a new process starts the first Job of a new model."""
    jobs = await fleet.uids(client, JOB)
    seconds = [await _first_job(client, operator, f"{fleet.AFTER_KILL}-{n}") for n in range(KILLS)]
    print("first Job of a new model after SIGKILL:", *(f"{each:.1f}" for each in seconds), "s")
    middle = statistics.median(seconds)
    figures.tell("median of these", middle, "s", MAX_FIRST_JOB_SECONDS)
    figures.tell("Jobs that were lost by it", len(jobs - await fleet.uids(client, JOB)), "", 0)
    models = len(await fleet.bodies(client, MODEL))
    jobs_a_model = len(await fleet.uids(client, JOB)) / models
    figures.tell("Jobs a model afterwards", jobs_a_model, "", 4)


async def _first_job(client: ApiClient, operator: OperatorProcess, model: str) -> float:
    """Return the seconds from a new process to the first Job of a model that nobody knew."""
    operator.kill(signal.SIGKILL)
    await fleet.post_model(client, model, fleet.NAMESPACES[0])
    started = time.monotonic()
    operator.spawn()
    await fleet.job_exists(client, model)
    seconds = time.monotonic() - started
    await asyncio.sleep(SETTLE_SECONDS)
    return seconds


async def _compare(client: ApiClient, models: int, figures: Figures) -> None:
    """The same objects without an operator."""
    manifests = await fleet.manifests(client)
    await fleet.remove_models(client)
    started, used = time.monotonic(), time.process_time()
    done = asyncio.create_task(fleet.all_available(client, models))
    await fleet.post_all(client, manifests)
    figures.tell(f"posting their {len(manifests)} children", time.monotonic() - started, "s")
    await asyncio.wait_for(done, READY_SECONDS)
    seconds = time.monotonic() - started
    bare_ms = 1000 * (time.process_time() - used) / models
    figures.tell("CPU of only posting and watching them, a model", bare_ms, "ms")
    figures.tell("until all of them are complete or available", seconds, "s")
    figures.tell(
        "with the operator against without", figures.ready_seconds / seconds, "x", MAX_SLOWDOWN
    )


@asynccontextmanager
async def _client() -> AsyncIterator[ApiClient]:
    client = ApiClient(await load())
    try:
        yield client
    finally:
        await client.close()


if __name__ == "__main__":
    sys.exit(main())
