"""The highest of a value that is read again and again while something else runs."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Peak:
    """Reads a value in a thread of its own while a block runs.

    Parameters
    ----------
    read
        Returns the value of this moment.
    interval_seconds
        Between two reads.
    """

    highest = 0

    def __init__(self, read: Callable[[], int], interval_seconds: float) -> None:
        self._read, self._interval_seconds = read, interval_seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak", daemon=True)

    def __enter__(self) -> Self:
        """Start to read."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to read."""
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(self._interval_seconds):
            self.highest = max(self.highest, self._read())
