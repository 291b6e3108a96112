"""The board where nothing can be redrawn: one line a transition and per ten points."""

from collections.abc import Iterator

from qmodel.api.conditions import ConditionType
from qmodel.cli.board import Board, Row, State
from qmodel.cli.durations import duration

POINTS = 10
_Shown = tuple[State, int, str]


class PlainBoard:
    """Turns a board's changes into lines, each thing said once."""

    def __init__(self) -> None:
        self._shown: dict[ConditionType, _Shown] = {}

    def lines(self, board: Board, now: float) -> Iterator[str]:
        """Yield what is new since the last call."""
        for kind, row in board.rows.items():
            shown = _shown(row)
            if shown != self._shown.get(kind) and row.state is not State.WAITING:
                yield _line(row, now)
            self._shown[kind] = shown


def _shown(row: Row) -> _Shown:
    """Return what must differ to be worth a line."""
    tens = -1 if row.percent is None else row.percent // POINTS
    reason = row.reason if row.state is not State.WORKING else ""
    return row.state, tens, reason


def _line(row: Row, now: float) -> str:
    seconds = None if row.is_at_work else row.seconds(now)
    parts = [
        f"{row.kind.value:<10}",
        f"{row.state.value:<8}",
        "" if row.percent is None else f"{row.percent}%",
        "" if seconds is None else duration(seconds),
        row.text,
    ]
    return "  ".join(part for part in parts if part)
