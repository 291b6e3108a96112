"""Follows the logs of running steps and brings their progress to the status in coarse steps.

A log is opened only once a container has run for a while, as most steps end sooner; each is
followed once, by one task that ends with the container. What cannot be read (a node without logs)
is left alone: progress is a comfort, and nothing depends on it.
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
        """Read one container's log to its end, if it runs for a while."""
        await asyncio.sleep(SETTLE_SECONDS)
        async with self._slots:
            current = self._store.entry(pod.uid)
            if current is None or current.running != pod.running:
                return
            try:
                await self._read(pod)
            except ApiError as error:
                logger.debug("No progress of %s/%s: %s", pod.namespace, pod.name, error)

    async def _read(self, pod: Entry) -> None:
        """Tell the store of each step of progress."""
        told_percent, told_at = 0, -INTERVAL_SECONDS
        loop = asyncio.get_running_loop()
        async for line in self._client.log(pod.namespace, pod.name, pod.running):
            percent = coarse_percent(line)
            is_due = loop.time() - told_at >= INTERVAL_SECONDS
            if percent is not None and percent != told_percent and is_due:
                told_percent, told_at = percent, loop.time()
                self._wake(self._store.progress(pod.group[1], percent))


def coarse_percent(line: bytes) -> int | None:
    """Return the progress that a line tells, rounded down to whole steps; None if it tells none."""
    found = progress_line(line)
    return None if found is None else found.percent // POINTS * POINTS
