"""Follows the logs of running steps and brings their progress to the status in coarse steps.

A log is opened only once a container has run for a while, as most steps end sooner; each is
followed once, by one task that ends with the container. What cannot be read (a node without logs)
is left alone: progress is a comfort, and nothing depends on it.
"""

import asyncio
import logging
from collections.abc import Callable

from pydantic import ValidationError

from qmodel.cluster.client import ApiClient
from qmodel.cluster.entries import Entry
from qmodel.cluster.errors import ApiError
from qmodel.cluster.store import Keys, Store
from qmodel.worker.report import ProgressLine

SETTLE_SECONDS = 5.0
"""A container that ends sooner is never followed."""

POINTS = 5
"""Progress is told in steps of so many percent points ..."""

INTERVAL_SECONDS = 10.0
"""... and not more often than this."""

MAX_FOLLOWED = 64
"""Logs that are followed at once."""

MAX_LINE_CHARACTERS = 1024

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
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        """By pod and container; a finished task stays until its pod is gone."""

    def follow(self, pod: Entry, job_uid: str) -> None:
        """Follow the container of a Job's pod that runs now, if it is not followed yet."""
        key = (pod.uid, pod.running)
        if not pod.running or key in self._tasks or self._is_full():
            return
        self._tasks[key] = asyncio.create_task(self._follow(pod, job_uid))

    async def stop(self) -> None:
        """End all tasks."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _is_full(self) -> bool:
        """Whether as many logs are followed as may be; forgets those of pods that are gone."""
        for key in [key for key in self._tasks if self._store.entry(key[0]) is None]:
            self._tasks.pop(key).cancel()
        return sum(not task.done() for task in self._tasks.values()) >= MAX_FOLLOWED

    async def _follow(self, pod: Entry, job_uid: str) -> None:
        """Read one container's log to its end."""
        await asyncio.sleep(SETTLE_SECONDS)
        current = self._store.entry(pod.uid)
        if current is None or current.running != pod.running:
            return
        told_percent, told_at = 0, -INTERVAL_SECONDS
        loop = asyncio.get_running_loop()
        try:
            async for line in self._client.log(pod.namespace, pod.name, pod.running):
                percent = coarse_percent(line)
                if percent is None or percent == told_percent:
                    continue
                if loop.time() - told_at >= INTERVAL_SECONDS:
                    told_percent, told_at = percent, loop.time()
                    self._wake(self._store.progress(job_uid, percent))
        except ApiError as error:
            logger.debug("No progress of %s/%s: %s", pod.namespace, pod.name, error)


def coarse_percent(line: bytes) -> int | None:
    """Return the progress that a line tells, rounded down to whole steps; None if it tells none."""
    if len(line) > MAX_LINE_CHARACTERS or not line.startswith(b"{"):
        return None
    try:
        return ProgressLine.model_validate_json(line).percent // POINTS * POINTS
    except ValidationError:
        return None
