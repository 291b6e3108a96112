"""The board on a terminal: one line a condition, redrawn as it moves."""

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from qmodel.cli.board import Board, Row, State
from qmodel.cli.durations import duration

BAR_WIDTH = 24
_MARKS = {
    State.WAITING: Text("·", style="dim"),
    State.DONE: Text("✓", style="green"),
    State.FAILED: Text("✗", style="bold red"),
}
_STYLES = {
    State.WAITING: "dim",
    State.TROUBLED: "yellow",
    State.FAILED: "red",
}


class LiveBoard:
    """What rich draws again and again; the spinner keeps its own time.

    Parameters
    ----------
    board
        Is kept up to date by somebody else.
    clock
        Returns seconds since 1970.
    """

    def __init__(self, board: Board, clock: Callable[[], float]) -> None:
        self._board = board
        self._clock = clock
        self._started = clock()
        self._spinner = Spinner("dots", style="cyan")

    def __rich__(self) -> RenderableType:
        """Draw the board as it is now."""
        now = self._clock()
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True, min_width=6)
        table.add_column(ratio=1, overflow="fold")
        for row in self._board.rows.values():
            table.add_row(*self._cells(row, now))
        return Group(self._title(now), table)

    def _title(self, now: float) -> Text:
        model = self._board.model
        title = Text(model.name if model else "", style="bold")
        if model:
            title.append(f"  namespace {model.namespace}", style="dim")
        if model and model.status.revision and self._board.is_observed:
            title.append(f"  revision {model.status.revision}", style="dim")
        return title.append(f"  {duration(now - self._started)}", style="dim")

    def _cells(self, row: Row, now: float) -> tuple[RenderableType, ...]:
        seconds = row.seconds(now)
        return (
            self._spinner if row.is_at_work else _MARKS[row.state],
            Text(row.kind.value, style=_STYLES.get(row.state, "")),
            Text("" if seconds is None else duration(seconds), style="dim"),
            _told(row),
        )


def _told(row: Row) -> RenderableType:
    """Return the bar of a running step and what it says."""
    text = Text(row.text, style=_STYLES.get(row.state, ""))
    if not row.is_at_work or row.percent is None:
        return text
    line = Table.grid(padding=(0, 1))
    line.add_column(width=BAR_WIDTH)
    line.add_column(justify="right", width=4)
    line.add_column(ratio=1)
    bar = ProgressBar(total=100, completed=row.percent, width=BAR_WIDTH)
    line.add_row(bar, Text(f"{row.percent}%"), text)
    return line
