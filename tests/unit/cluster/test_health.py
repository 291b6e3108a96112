import asyncio
from types import SimpleNamespace

import aiohttp
from aiohttp.test_utils import unused_port
from objects import INSTALLATION, model

from qmodel.cluster import health
from qmodel.cluster.health import HealthServer
from qmodel.cluster.kinds import JOB, MODEL
from qmodel.cluster.store import Store


async def ask(path: str, failing_since: float | None = None) -> tuple[int, str]:
    store = Store(INSTALLATION)
    store.put(MODEL, model())
    informer = SimpleNamespace(kind=JOB, failing_since=failing_since)
    server, port = HealthServer([informer], store), unused_port()  # type: ignore[list-item]
    await server.start("127.0.0.1", port)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}{path}") as answer,
        ):
            return answer.status, await answer.text()
    finally:
        await server.stop()


async def test_healthy_while_everything_is_heard() -> None:
    assert await ask("/healthz") == (200, "ok\n")


async def test_a_short_failure_is_healthy() -> None:
    status, _ = await ask("/healthz", asyncio.get_running_loop().time())
    assert status == 200


async def test_unhealthy_once_deaf_for_long() -> None:
    long_ago = asyncio.get_running_loop().time() - health.DEAF_SECONDS - 1
    status, text = await ask("/healthz", long_ago)
    assert status == 503
    assert "jobs" in text


async def test_metrics_count_models_by_stage() -> None:
    status, text = await ask("/metrics")
    assert status == 200
    assert 'qmodel_models{stage="New"} 1.0' in text
    assert "process_resident_memory_bytes" in text
