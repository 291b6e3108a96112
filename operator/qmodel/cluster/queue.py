"""Which models to look at next: each at most once in the queue, and never by two workers at once.

A key that is woken while it is worked on is worked on again afterwards. Between two passes of one
key lies a short pause, so that a burst of events (a Job, its pod, the pod's containers) costs one
pass. A key whose pass failed comes back after a delay that doubles each time.
"""

import asyncio
from collections.abc import Callable, Iterable

from qmodel.metrics import QUEUE_DEPTH

PAUSE_SECONDS = 0.1
"""Least time from the end of one pass of a key to its next."""

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 300.0
MOST_DOUBLINGS = 10


class WorkQueue:
    """Keys to work on, in the order in which they became due."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()
        """Keys in `_ready`."""
        self._working: set[str] = set()
        self._again: set[str] = set()
        """Keys that were woken while they were worked on."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._rested: dict[str, float] = {}
        """Of keys in the pause after their last pass: when it is over, in loop time."""

    def wake(self, keys: Iterable[str]) -> None:
        """Have these keys worked on as soon as possible."""
        for key in keys:
            if key in self._working:
                self._again.add(key)
            else:
                now = asyncio.get_running_loop().time()
                self.wake_after(key, self._rested.get(key, now) - now)

    def wake_after(self, key: str, seconds: float) -> None:
        """Have a key worked on after a while, or earlier if it is due earlier."""
        due = asyncio.get_running_loop().time() + seconds
        timer = self._timers.get(key)
        if key in self._waiting or (timer is not None and timer.when() <= due):
            return
        if timer is not None:
            timer.cancel()
        if seconds > 0:
            self._timers[key] = asyncio.get_running_loop().call_at(due, self._due, key)
        else:
            self._due(key)

    def fail(
        self, key: str, least_seconds: float = 0.0, most_seconds: float = LONGEST_RETRY_SECONDS
    ) -> None:
        """Have a key worked on again after a delay that grows with every failure in a row.

        Parameters
        ----------
        least_seconds
            What the API server asked for; it holds even beyond `most_seconds`.
        most_seconds
            Bound of the growth.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = FIRST_RETRY_SECONDS * 2 ** min(failures, MOST_DOUBLINGS)
        self.wake_after(key, max(least_seconds, min(delay, most_seconds)))

    def succeed(self, key: str) -> None:
        """Let the next failure of a key count as the first; nothing more is kept of the key."""
        self._failures.pop(key, None)

    def put_last(self, is_last: Callable[[str], bool]) -> None:
        """Have the keys in line of which this is true worked on after the others."""
        line = [self._ready.get_nowait() for _ in range(self._ready.qsize())]
        for key in sorted(line, key=is_last):
            self._ready.put_nowait(key)

    async def take(self) -> str:
        """Wait for a key; the caller must give it back with `done`."""
        key = await self._ready.get()
        self._waiting.discard(key)
        self._working.add(key)
        QUEUE_DEPTH.set(len(self._waiting))
        return key

    def done(self, key: str) -> None:
        """Say that a key is no longer worked on."""
        self._working.discard(key)
        loop = asyncio.get_running_loop()
        self._rested[key] = loop.time() + PAUSE_SECONDS
        loop.call_later(PAUSE_SECONDS, self._rested.pop, key, None)
        if key in self._again:
            self._again.discard(key)
            self.wake([key])

    def _due(self, key: str) -> None:
        """Put a key into the line."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)
            QUEUE_DEPTH.set(len(self._waiting))
