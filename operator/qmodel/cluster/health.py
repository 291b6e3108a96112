"""One small web server: `/healthz` for the kubelet, `/metrics` for Prometheus.

It runs in the operator's own event loop: where the loop stalls it does not answer, and the probe
fails. It answers 503 once a kind could not be watched for so long that the store must be stale.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from qmodel.cluster.kinds import Kind
from qmodel.cluster.store import Store
from qmodel.metrics import MODELS

DEAF_SECONDS = 300.0
"""A kind that could be neither listed nor watched for so long makes the operator unhealthy."""


class Ear(Protocol):
    """What hears of one kind: an informer, or what knows of kopf's watches."""

    @property
    def kind(self) -> Kind:
        """What is heard of."""

    @property
    def failing_since(self) -> float | None:
        """Loop time since when nothing is heard; None while all is well."""


class HealthServer:
    """Serves health and metrics.

    Parameters
    ----------
    ears
        Asked whether they still hear.
    store
        Asked for the stages of the models.
    """

    def __init__(self, ears: Sequence[Ear], store: Store) -> None:
        self._ears = ears
        self._store = store
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen."""
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        """Say which kinds have not been heard of for too long."""
        deaf = [ear.kind.plural for ear in self._ears if _is_deaf(ear)]
        if deaf:
            return web.Response(status=503, text=f"not watched for minutes: {', '.join(deaf)}\n")
        return web.Response(text="ok\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        """Return all metrics; models are counted when someone asks."""
        MODELS.clear()
        stages = Counter(model.status.stage or "New" for model in self._store.models())
        for stage, count in stages.items():
            MODELS.labels(stage).set(count)
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _is_deaf(ear: Ear) -> bool:
    """Whether an ear has failed for too long."""
    since = ear.failing_since
    return since is not None and asyncio.get_running_loop().time() - since > DEAF_SECONDS
