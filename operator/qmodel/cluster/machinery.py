"""Wires the parts together, starts them in order and stops them.

The order matters: the store holds everything there is before the first model is worked on, so
nothing acts on half a picture; and nothing is read or written before this replica leads.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from qmodel.cluster.children import Build, Children
from qmodel.cluster.client import ApiClient
from qmodel.cluster.health import HealthServer
from qmodel.cluster.informer import Informer
from qmodel.cluster.kinds import (
    CLAIM,
    DEPLOYMENT,
    ENDPOINTS,
    JOB,
    MODEL,
    NODE,
    POD,
    SERVICE,
    Kind,
    Scope,
)
from qmodel.cluster.leader import Leadership
from qmodel.cluster.model_watch import ModelWatch
from qmodel.cluster.progress import ProgressFollower
from qmodel.cluster.queue import WorkQueue
from qmodel.cluster.reconciler import Planner, Reconciler
from qmodel.cluster.store import Store
from qmodel.naming import MODEL_UID_LABEL
from qmodel.settings import Settings

logger = logging.getLogger(__name__)


class Machinery:
    """Everything that runs beside kopf.

    Parameters
    ----------
    client
        Talks to the API server.
    settings
        How this operator runs.
    plan, build
        Decide and build; see `Reconciler` and `Children`.
    """

    def __init__(self, client: ApiClient, settings: Settings, plan: Planner, build: Build) -> None:
        self._client = client
        self._settings = settings
        self._store = Store(settings.installation)
        self._queue = WorkQueue()
        self._progress = ProgressFollower(client, self._store, self._queue.wake)
        children = Children(client, self._store, build)
        self._reconciler = Reconciler(
            client, self._store, self._queue, children, plan, settings.identity
        )
        self._models = self._informers(MODEL, "")
        self._others = [
            *(
                informer
                for kind in (JOB, DEPLOYMENT, SERVICE, ENDPOINTS, CLAIM)
                for informer in self._informers(kind, MODEL_UID_LABEL)
            ),
            *self._informers(POD, MODEL_UID_LABEL, heard=self._progress.pod_changed),
            Informer(client, self._store, self._queue.wake, Scope(NODE), optional=True),
        ]
        self.model_watch = ModelWatch()
        """Sees the requests of kopf's session."""
        self._health = HealthServer([*self._others, self.model_watch], self._store)
        self._leadership = Leadership(client, settings.own_namespace, settings.identity)
        self._tasks: list[asyncio.Task[None]] = []
        self.stopping = asyncio.Event()
        """Set when the process has to end, and at the latest when it does."""
        self.failed = False
        """Whether it had to end because a part did that never should."""

    async def start(self) -> None:
        """Take the lead, learn what exists, and begin to work."""
        await self._health.start(self._settings.health_host, self._settings.health_port)
        if self._settings.leader_elect:
            await self._leadership.acquire()
            self._spawn(self._leadership.hold())
        for informer in self._others:
            self._spawn(informer.run())
        await asyncio.gather(
            *(informer.listed.wait() for informer in self._others),
            *(informer.list_patiently() for informer in self._models),
        )
        self._queue.put_last(self._store.is_ready)  # a restart must not keep a new model waiting
        logger.info("Serving %d models", len(self._store.models()))
        self._spawn(self._list_models_with_kopf())
        self._spawn(self._reconciler.run())

    async def stop(self) -> None:
        """End all tasks and give the lead away."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._progress.stop()
        if self._settings.leader_elect:
            await self._leadership.release()
        await self._health.stop()
        self.stopping.set()  # else kopf waits some seconds for its task that waits for this

    def model_changed(self, change: str | None, body: dict[str, Any]) -> None:
        """Take in what kopf saw of a QuantizedModel."""
        self._models[0].take_in(change, body)  # any of them: an object says itself where it lies

    async def _list_models_with_kopf(self) -> None:
        """List the models whenever kopf does so again, which tells what went unheard."""
        while True:
            await self.model_watch.listed_again.wait()
            self.model_watch.listed_again.clear()
            for informer in self._models:
                await informer.list_patiently()

    def _informers(
        self, kind: Kind, selector: str, heard: Callable[[str], None] | None = None
    ) -> list[Informer]:
        """Return what follows a kind in every namespace that is served."""
        scopes = [Scope(kind, name, selector) for name in self._settings.namespaces or (None,)]
        wake = self._queue.wake
        return [Informer(self._client, self._store, wake, scope, heard=heard) for scope in scopes]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a part in the background; if it ends, everything ends."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Stop the operator because a part of it ended by itself."""
        if task.cancelled():
            return
        if task.exception() is not None:
            logger.critical("A part of the operator failed", exc_info=task.exception())
        self.failed = True
        self.stopping.set()
