"""llama.cpp's log, which is global, taken line by line while a block runs."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import llama_cpp

from qmodel.worker.backends.tools import LINE_LENGTH, LINES_KEPT

_silent = llama_cpp.llama_log_callback(lambda *_: None)


class Log:
    """The last lines of the log."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._open = ""

    def write(self, text: str) -> None:
        """Take a piece of text, which may hold a part of a line or several."""
        *complete, self._open = (self._open + text).split("\n")
        for line in filter(str.strip, complete):
            self._lines.append(line)
            self._on_line(line)

    def tail(self) -> str:
        """Return the last lines, short enough for a report."""
        lines = [*self._lines, self._open] if self._open.strip() else self._lines
        return "\n".join(line[:LINE_LENGTH] for line in lines)


@contextmanager
def captured_log(on_line: Callable[[str], None] = lambda _: None) -> Iterator[Log]:
    """Take the log of llama.cpp, which it otherwise writes to stderr; afterwards it is silent."""
    log = Log(on_line)
    callback = llama_cpp.llama_log_callback(
        lambda _level, text, _user_data: log.write(text.decode(errors="replace"))
    )
    llama_cpp.llama_log_set(callback, None)
    try:
        yield log
    finally:
        llama_cpp.llama_log_set(_silent, None)
