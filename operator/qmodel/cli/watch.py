"""`watch`: follow a model until it is ready, needs a person, or time is over.

The model, its pods and the logs of its steps are each followed by a thread of its own; all they do
is put what they read into one queue, which the main thread turns into the picture.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.text import Text

from qmodel.api.conditions import ConditionType
from qmodel.api.resource import QuantizedModel
from qmodel.cli.access import Access, RunningContainer
from qmodel.cli.board import Board
from qmodel.cli.errors import AccessError
from qmodel.cli.live import LiveBoard
from qmodel.cli.plain import PlainBoard
from qmodel.cluster.parse import progress_line
from qmodel.worker.report import ProgressLine

FRAMES_PER_SECOND = 8
STOP_SECONDS = 2
UNOBSERVED_SECONDS = 15
"""An operator that runs takes a model up within a second or two."""
_UNOBSERVED = (
    "No operator has looked at this model yet. Does it run? "
    "kubectl get pods -A -l app.kubernetes.io/component=operator"
)


class Exit(IntEnum):
    """Exit status of the program."""

    REACHED = 0
    FAILED = 1
    TIMED_OUT = 2


@dataclass(frozen=True, slots=True)
class Deleted:
    """The model is gone."""


News = QuantizedModel | Deleted | ProgressLine | AccessError


class Feed:
    """Everything that is read, in the order in which it arrives."""

    def __init__(self, access: Access, namespace: str, name: str) -> None:
        self._access = access
        self._namespace = namespace
        self._name = name
        self._news: queue.Queue[News] = queue.Queue()
        self._uid = ""
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to follow the model; its pods follow once its identity is known."""
        self._background(self._follow_model)

    def next(self, seconds: float) -> News | None:
        """Return the next news, or None if there is none within so many seconds."""
        try:
            return self._news.get(timeout=seconds)
        except queue.Empty:
            return None

    def _follow_model(self) -> None:
        try:
            for model in self._access.changes(self._namespace, self._name):
                self._news.put(Deleted() if model is None else model)
                if model is not None and model.uid != self._uid:
                    self._uid = model.uid
                    self._background(partial(self._follow_pods, model.uid))
        except AccessError as error:
            self._news.put(error)

    def _follow_pods(self, uid: str) -> None:
        """Follow every step's log; whoever may not read pods has the status alone."""
        try:
            for container in self._access.running(self._namespace, uid):
                self._background(partial(self._follow_log, container))
        except AccessError:
            return

    def _follow_log(self, container: RunningContainer) -> None:
        try:
            for text in self._access.log(self._namespace, container):
                line = progress_line(text.encode())
                if line is not None:
                    self._news.put(line)
        except AccessError:
            return

    def stop(self) -> None:
        """Let go of everything: a thread that still reads when the interpreter ends aborts it."""
        self._access.close()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _background(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()


@dataclass(frozen=True, slots=True)
class Watch:
    """One run of the command.

    Parameters
    ----------
    until
        The condition that is waited for.
    timeout_seconds
        How long.
    """

    feed: Feed
    console: Console
    until: ConditionType
    timeout_seconds: float
    clock: Callable[[], float] = time.time

    def run(self) -> Exit:
        """Show the model until the outcome is known, then say it."""
        board = Board()
        self.feed.start()
        run = self._run_live if self.console.is_terminal else self._run_plain
        try:
            outcome = run(board)
        finally:
            self.feed.stop()
        self._conclude(board, outcome)
        return outcome

    def _run_live(self, board: Board) -> Exit:
        picture = LiveBoard(board, self.clock)
        with Live(picture, console=self.console, refresh_per_second=FRAMES_PER_SECOND):
            return self._follow(board, lambda: None)

    def _run_plain(self, board: Board) -> Exit:
        plain = PlainBoard()

        def show() -> None:
            for line in plain.lines(board, self.clock()):
                self.console.print(Text(line), soft_wrap=True)

        return self._follow(board, show)

    def _follow(self, board: Board, show: Callable[[], None]) -> Exit:
        """Take in news until there is an outcome."""
        started = self.clock()
        told = False
        while (outcome := self._outcome(board)) is None:
            elapsed = self.clock() - started
            if elapsed > self.timeout_seconds:
                return Exit.TIMED_OUT
            if not told and elapsed > UNOBSERVED_SECONDS and not board.is_observed:
                self.console.print(_UNOBSERVED, style="yellow")
                told = True
            self._take(board, self.feed.next(1 / FRAMES_PER_SECOND))
            show()
        return outcome

    def _take(self, board: Board, news: News | None) -> None:
        match news:
            case AccessError():
                raise news
            case ProgressLine():
                board.hear(news, self.clock())
            case Deleted():
                board.see(None, self.clock())
            case QuantizedModel():
                board.see(news, self.clock())

    def _outcome(self, board: Board) -> Exit | None:
        if board.reached(self.until):
            return Exit.REACHED
        return Exit.FAILED if board.deleted or board.failed else None

    def _conclude(self, board: Board, outcome: Exit) -> None:
        """Say how it ended and what can be done."""
        model = board.model
        if model is None or board.deleted:
            self.console.print("The model was deleted." if board.deleted else "Nothing was seen.")
        elif outcome is Exit.REACHED:
            where = model.status.endpoint if self.until is ConditionType.READY else None
            reached = Text(self.until.value, style="green")
            self.console.print(reached, Text(f": {where}" if where else ""), sep="")
        elif outcome is Exit.TIMED_OUT:
            at = board.current.kind.value if board.current else "nothing"
            told = f"Not {self.until.value} in time; still at {at}."
            self.console.print(Text(told, style="yellow"))
        elif board.failed:
            self._explain(model, board)

    def _explain(self, model: QuantizedModel, board: Board) -> None:
        row = board.failed
        if row is None:
            return
        self.console.print(Text(f"\n{row.kind.value} failed: {row.reason}", style="bold red"))
        self.console.print(Text(row.message))
        more = f"\nMore: kubectl describe quantizedmodel {model.name} -n {model.namespace}"
        self.console.print(Text(more))
