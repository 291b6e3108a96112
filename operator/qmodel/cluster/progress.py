"""Follows the logs of running steps and brings their progress to the status in coarse steps.

A log is opened only once a container has run for a while, as most steps end sooner; each is
followed by one task that ends with the container, over streams that break off. What cannot be read
(a node without logs) is left alone: progress is a comfort, and nothing depends on it.
"""

import asyncio
import logging
from collections.abc import Callable

from qmodel.cluster.client import ApiClient
from qmodel.cluster.entries import Entry, is_job_pod
from qmodel.cluster.errors import ApiError
from qmodel.cluster.parse import progress_line
from qmodel.cluster.store import Keys, Store

SETTLE_SECONDS = 5.0
"""A container that ends sooner is never followed."""

POINTS = 5
"""Progress is told in steps of so many percent points ..."""

INTERVAL_SECONDS = 10.0
"""... and not more often than this."""

CATCH_UP_SECONDS = 1.0
"""A log is read from its beginning: what it says within this time of a step may be past."""

RETRY_SECONDS = 10.0
"""Until a log that broke off is opened again; twice as long each time ..."""

LONGEST_RETRY_SECONDS = 300.0
"""... up to this."""

MAX_FOLLOWED = 64
"""Logs that are followed at once."""

logger = logging.getLogger(__name__)


class ProgressFollower:
    """Follows logs in the background.

    Parameters
    ----------
    client, store
        Where logs come from and where the progress goes.
    wake
        Called with the models whose progress moved.
    """

    def __init__(self, client: ApiClient, store: Store, wake: Callable[[Keys], None]) -> None:
        self._client = client
        self._store = store
        self._wake = wake
        self._tasks: dict[str, dict[str, asyncio.Task[None]]] = {}
        """By pod and container; a finished task stays until its pod is gone."""
        self._slots = asyncio.Semaphore(MAX_FOLLOWED)

    def pod_changed(self, uid: str) -> None:
        """Follow the container of a Job's pod that runs now, if it is not followed yet."""
        pod = self._store.entry(uid)
        if pod is None:
            for task in self._tasks.pop(uid, {}).values():
                task.cancel()
        elif pod.running and is_job_pod(pod):
            tasks = self._tasks.setdefault(uid, {})
            if pod.running not in tasks:
                tasks[pod.running] = asyncio.create_task(self._follow(pod))

    async def stop(self) -> None:
        """End all tasks."""
        tasks = [task for tasks in self._tasks.values() for task in tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, pod: Entry) -> None:
        """Read one container's log while it runs, if it runs for a while."""
        await asyncio.sleep(SETTLE_SECONDS)
        pause = RETRY_SECONDS
        teller = _Teller(lambda percent: self._tell(pod, percent))
        try:
            while await self._read(pod, teller):
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_RETRY_SECONDS)
        finally:
            teller.stop()

    async def _read(self, pod: Entry, teller: "_Teller") -> bool:
        """Read the log to where it ends or breaks off; return whether it may go on from there."""
        async with self._slots:
            if not self._runs(pod):
                return False
            try:
                async for line in self._client.log(pod.namespace, pod.name, pod.running):
                    teller.take_in(coarse_percent(line))
            except ApiError as error:
                logger.debug("No progress of %s/%s: %s", pod.namespace, pod.name, error)
                return error.retry
        return True

    def _runs(self, pod: Entry) -> bool:
        """Whether the container that ran then still does."""
        current = self._store.entry(pod.uid)
        return current is not None and current.running == pod.running

    def _tell(self, pod: Entry, percent: int) -> None:
        """Tell the store how far a container is that still runs."""
        if self._runs(pod):
            self._wake(self._store.progress(pod.group[1], percent))


class _Teller:
    """Tells how far one container is: the newest step, when it is due, and never a lower one.

    A log that is opened again, as after a restart of the operator, is read from its beginning.
    """

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._newest = 0
        self._told_at = -INTERVAL_SECONDS
        self._timer: asyncio.TimerHandle | None = None

    def take_in(self, percent: int | None) -> None:
        """Have a step told when that is due, or a newer one that has come until then."""
        if percent is None or percent <= self._newest:
            return
        self._newest = percent
        if self._timer is None:
            loop = asyncio.get_running_loop()
            due = max(loop.time() + CATCH_UP_SECONDS, self._told_at + INTERVAL_SECONDS)
            self._timer = loop.call_at(due, self._tell_newest)

    def stop(self) -> None:
        """Tell no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tell_newest(self) -> None:
        self._timer = None
        self._told_at = asyncio.get_running_loop().time()
        self._tell(self._newest)


def coarse_percent(line: bytes) -> int | None:
    """Return the progress that a line tells, rounded down to whole steps; None if it tells none."""
    found = progress_line(line)
    return None if found is None else found.percent // POINTS * POINTS
