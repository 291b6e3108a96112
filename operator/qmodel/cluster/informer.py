"""Keeps the store abreast of one kind: one paginated LIST, then a watch from there on.

kopf watches what people write, the QuantizedModels; children and nodes are watched here, for three
reasons. A model's way to Ready is some fifty events of its children, and kopf spends about 0.4 ms
on each (a task, a memory, loggers and causes for every object), eight times what parsing and
storing it takes. kopf does not tell when its listing is complete, so the store would have to be
primed by a second LIST. And after an interrupted watch kopf does not tell what was deleted
meanwhile, so that a lost child would never be noticed.
"""

import asyncio
import logging
from collections.abc import Callable

from qmodel.cluster.client import ApiClient
from qmodel.cluster.errors import ApiError, Forbidden, Gone
from qmodel.cluster.kinds import Kind, Scope
from qmodel.cluster.parse import Object
from qmodel.cluster.store import Keys, Store

RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
FORBIDDEN_SECONDS = 300.0
"""Until it is tried again whether the right to what can be done without was given meanwhile."""

logger = logging.getLogger(__name__)


class Informer:
    """Follows one kind in one namespace.

    Parameters
    ----------
    client, store
        Where the objects come from and where they go.
    wake
        Called with the models that a change concerns.
    scope
        What to follow.
    heard
        Called with the uid of every object that there is news of, once the store has it.
    optional
        Whether to do without where RBAC forbids it.
    """

    def __init__(
        self,
        client: ApiClient,
        store: Store,
        wake: Callable[[Keys], None],
        scope: Scope,
        *,
        heard: Callable[[str], None] | None = None,
        optional: bool = False,
    ) -> None:
        self._client = client
        self._store = store
        self._wake = wake
        self._scope = scope
        self._heard = heard
        self._optional = optional
        self.listed = asyncio.Event()
        """Set once the store holds everything that there is of this kind."""
        self.failing_since: float | None = None
        """Loop time since when neither list nor watch succeeded; None while they do."""

    @property
    def kind(self) -> Kind:
        """What is followed."""
        return self._scope.kind

    async def run(self) -> None:
        """Follow the kind until cancelled."""
        delay = RETRY_SECONDS
        while True:
            try:
                version = await self.list()
                delay = RETRY_SECONDS
                await self._watch(version)
            except ApiError as error:
                if self._optional and isinstance(error, Forbidden):
                    await self._do_without(error)
                else:
                    await self._wait(error, delay)
            delay = min(2 * delay, LONGEST_RETRY_SECONDS)

    async def list_patiently(self) -> None:
        """List until it succeeds: the API server or the resource's definition may still come."""
        while True:
            try:
                await self.list()
            except ApiError as error:
                await self._wait(error, RETRY_SECONDS)
            else:
                return

    async def list(self) -> str:
        """Bring the store up to what a LIST says, deletions included; return its version."""
        uids: set[str] = set()
        version = ""
        async for page in self._client.list(self._scope):
            version = page["metadata"]["resourceVersion"]
            for body in page["items"]:
                uids.add(body["metadata"]["uid"])
                self.take_in(None, body)
        for uid in self._store.missing(self._scope, uids, int(version)):
            self._drop(uid, int(version))
        self.failing_since = None
        self.listed.set()
        return version

    async def _watch(self, version: str) -> None:
        """Take in events until the API server forgets where we are; reconnect when it hangs up."""
        while True:
            try:
                async for event in self._client.watch(self._scope, version):
                    version = event["object"]["metadata"]["resourceVersion"]
                    self.take_in(event["type"], event["object"])
            except Gone:
                return
            # An API server that hangs up at once must not be asked in a tight loop.
            await asyncio.sleep(RETRY_SECONDS)

    def take_in(self, change: str | None, body: Object) -> None:
        """Feed one event to the store."""
        meta = body["metadata"]
        if change == "DELETED":
            self._drop(meta["uid"], int(meta["resourceVersion"]))
        elif change != "BOOKMARK":
            self._wake(self._store.put(self.kind, body))
            self._tell(meta["uid"])

    def _drop(self, uid: str, version: int) -> None:
        """Have the store forget what is gone."""
        self._wake(self._store.drop(uid, version))
        self._tell(uid)

    def _tell(self, uid: str) -> None:
        """Say that the store has news of an object."""
        if self._heard is not None:
            self._heard(uid)

    async def _do_without(self, error: Forbidden) -> None:
        """Go on as if there were nothing, until the right may have been given."""
        if not self.listed.is_set():
            logger.warning("Doing without %s: %s", self.kind.plural, error)
        self.failing_since = None
        self.listed.set()
        await asyncio.sleep(FORBIDDEN_SECONDS)

    async def _wait(self, error: ApiError, seconds: float) -> None:
        """Wait before the next try; from the first failure on, health counts the time."""
        if self.failing_since is None:
            self.failing_since = asyncio.get_running_loop().time()
        logger.warning("Watching %s failed, will list again: %s", self.kind.plural, error)
        await asyncio.sleep(seconds)
