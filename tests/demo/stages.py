"""One line a stage: a spinner with what happens now, then what came out and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

TITLE_WIDTH = 10
TIME_WIDTH = 7
LINE_SECONDS = 15
"""Between two lines of a stage that takes long, in a file."""


class Stage:
    """A stage while it runs.

    Attributes
    ----------
    result
        What the line says in the end.
    told
        What was said to happen last.
    """

    def __init__(self, title: str, console: Console) -> None:
        self.result = ""
        self._console = console
        self._title = title
        self.told = ""
        self._started = time.monotonic()
        self._next_line = float(LINE_SECONDS)
        self._spinner = Spinner("dots", style="cyan")

    def tell(self, what: str) -> None:
        """Say what happens now; where nothing can be redrawn, now and then a line of it."""
        self.told = what
        seconds = time.monotonic() - self._started
        if not self._console.is_terminal and seconds > self._next_line:
            self._next_line = seconds + LINE_SECONDS
            self._console.print(f"  {_time(seconds)}  {what}", markup=False, soft_wrap=True)

    def __rich__(self) -> Table:
        """Draw the stage at work."""
        return self._line(self._spinner, Text(self.told, style="dim", overflow="ellipsis"))

    def done(self) -> Table:
        """Draw the stage at its end."""
        return self._line(Text("✓", style="green"), Text(self.result))

    def _line(self, mark: Text | Spinner, what: Text) -> Table:
        # On a narrow terminal what happens gives way, and no other column.
        line = Table.grid(padding=(0, 1), expand=self._console.is_terminal)
        line.add_column(width=1)
        line.add_column(width=TITLE_WIDTH)
        line.add_column(width=TIME_WIDTH, justify="right")
        line.add_column(ratio=1, no_wrap=mark is self._spinner)
        seconds = time.monotonic() - self._started
        line.add_row(mark, Text(self._title, style="bold"), Text(_time(seconds), "dim"), what)
        return line


@contextmanager
def stage(console: Console, title: str) -> Iterator[Stage]:
    """Show a stage from its begin to its end."""
    running = Stage(title, console)
    if console.is_terminal:
        with Live(running, console=console, transient=True, refresh_per_second=8):
            yield running
    else:
        console.print(f"{title} ...")
        yield running
    console.print(running.done())


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"
