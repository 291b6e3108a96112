"""One pass over one model: observe, plan, write the children, write the status once.

Level-triggered: a pass starts from what is observed now and keeps nothing of the pass before but
the refusals, which the planner turns into conditions. So a crash at any point loses nothing: what
was written is observed, what was not is planned again. The status is written even if a child could
not be, and only if it changed; its own event then finds nothing to do.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from qmodel.api.base import GROUP, KIND, VERSION
from qmodel.api.resource import QuantizedModel
from qmodel.api.status import QuantizedModelStatus
from qmodel.cluster.announce import announce
from qmodel.cluster.children import Children, refusal
from qmodel.cluster.client import ApiClient
from qmodel.cluster.entries import Entry
from qmodel.cluster.errors import Conflict, NotFound, Refused, Terminating, Unavailable
from qmodel.cluster.kinds import MODEL
from qmodel.cluster.queue import WorkQueue
from qmodel.cluster.store import Model, Store
from qmodel.metrics import RECONCILE_SECONDS, RECONCILES
from qmodel.planner import invalid
from qmodel.planner.observed import InvalidModel, Observed, Refusal
from qmodel.planner.wishes import Announcement, Plan, Wish

Planner = Callable[[QuantizedModel, Observed, datetime], Plan]
"""`qmodel.planner.plan.plan`."""

MAX_ROUNDS = 4
"""Plans of one pass; a planner that always wants more must not keep the others waiting."""

CONFLICT_SECONDS = 0.5
"""Time in which the event of a conflicting write arrives, and wakes the model earlier."""

WORKERS = 8
"""Models that are worked on at once: enough to keep the API server busy while answers travel."""

LONGEST_OUTAGE_RETRY_SECONDS = 10.0
"""Between tries while the API server does not answer: once it does, nothing else tells us."""

LONGEST_REFUSAL_RETRY_SECONDS = 30.0
"""Between tries of a child that is refused: that its name or a quota is free again tells nobody."""

logger = logging.getLogger(__name__)


class Reconciler:
    """Works off the queue.

    Parameters
    ----------
    client, store, queue, children
        Who talks to the API server, what is known, what to look at, who writes the children.
    plan
        Decides.
    identity
        Name of this process, for the Events.
    """

    def __init__(
        self,
        client: ApiClient,
        store: Store,
        queue: WorkQueue,
        children: Children,
        plan: Planner,
        identity: str,
    ) -> None:
        self._client = client
        self._store = store
        self._queue = queue
        self._children = children
        self._plan = plan
        self._identity = identity
        self._refusals: dict[str, tuple[Refusal, ...]] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        """Take one key after another."""
        while True:
            key = await self._queue.take()
            try:
                with RECONCILE_SECONDS.time():
                    outcome = await self._pass(key)
            finally:
                self._queue.done(key)
            RECONCILES.labels(outcome).inc()
            # A pass that writes nothing never waits, nor does taking the next key: after a start,
            # what a new model waits for would come after the passes of all others.
            await asyncio.sleep(0)

    async def _pass(self, key: str) -> str:
        """Reconcile one model and decide when it comes again; return how it went."""
        try:
            refused = await self.reconcile(key)
        except Unavailable as error:
            logger.warning("Will try again: %s", error)
            self._queue.fail(key, error.retry_after_seconds, LONGEST_OUTAGE_RETRY_SECONDS)
            return "unavailable"
        except Terminating:  # the model's own end is the next that will be heard of it
            return "terminating"
        except Exception:  # one model's bug or surprise must not stop the others
            logger.exception("Pass over model %s failed; will try again", key)
            self._queue.fail(key)
            return "error"
        if refused:
            self._queue.fail(key, most_seconds=LONGEST_REFUSAL_RETRY_SECONDS)
            return "refused"
        self._queue.succeed(key)
        return "done"

    async def reconcile(self, key: str) -> bool:
        """Do one pass over a model; return whether the API server refused to write a child."""
        entry = self._store.entry(key)
        if entry is None or entry.value.deleting:
            self._refusals.pop(key, None)
            return False
        model: Model = entry.value
        plan, unavailable = await self._carry_out(model)
        await self._write_status(entry, plan.status, plan.announcements)
        if unavailable is not None:
            raise unavailable
        if plan.requeue_after is not None:
            self._queue.wake_after(key, plan.requeue_after.total_seconds())
        return key in self._refusals

    async def _carry_out(self, model: Model) -> tuple[Plan, Unavailable | None]:
        """Plan and write the children until nothing is left to write; return the last plan.

        What was just written is known at once. Planning on it in the same pass spares the status
        write that would tell of the wish, before the one that tells of the child.
        """
        if isinstance(model, InvalidModel):
            self._refusals.pop(model.uid, None)
            return invalid.plan(model, datetime.now(UTC)), None
        for _ in range(MAX_ROUNDS):
            refusals = self._refusals.get(model.uid, ())
            observed = self._store.observed(model, refusals)
            plan = self._plan(model, observed, datetime.now(UTC))
            try:
                wrote = await self._fulfil(model, plan.wishes)
            except Unavailable as error:
                return plan, error
            if not wrote and refusals == self._refusals.get(model.uid, ()):
                return plan, None
        self._queue.wake([model.uid])
        return plan, None

    async def _fulfil(self, model: QuantizedModel, wishes: Sequence[Wish]) -> bool:
        """Do all wishes that can be done, keep what was refused; return whether any was."""
        wrote = False
        refusals: list[Refusal] = []
        for wish in wishes:
            try:
                wrote |= await self._children.fulfil(model, wish)
            except Terminating:
                raise
            except Refused as error:
                refusals.append(refusal(wish, error))
                if refusals[-1] not in self._refusals.get(model.uid, ()):
                    logger.warning("%s/%s: %s", model.namespace, model.name, error)
        self._refusals.pop(model.uid, None)
        if refusals:
            self._refusals[model.uid] = tuple(refusals)
        return wrote

    async def _write_status(
        self,
        observed: Entry,
        status: QuantizedModelStatus,
        announcements: Sequence[Announcement],
    ) -> None:
        """Write the status if it changed, then tell people of the transitions in it."""
        model: Model = observed.value
        if status == model.status:
            return
        body = _status_body(observed, status)
        try:
            with self._store.writing_status(model.uid, status):
                answer = await self._client.apply(
                    MODEL, model.namespace, model.name, body, sub="status"
                )
        except NotFound:
            self._store.forget(model.uid)
            return
        except Conflict:  # it was edited, or made anew; the event that tells so is on its way
            self._queue.wake_after(model.uid, CONFLICT_SECONDS)
            return
        self._store.wrote_status(model.uid, status, answer)
        for announcement in announcements:
            await announce(self._client, self._identity, model, announcement)


def _status_body(observed: Entry, status: QuantizedModelStatus) -> dict[str, object]:
    """Return what is applied: the whole status, to the very version that was observed.

    A uid would not do: the API server ignores it when only the status is written.
    """
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {
            "name": observed.name,
            "namespace": observed.namespace,
            "resourceVersion": str(observed.version),
        },
        "status": status.to_wire(),
    }
