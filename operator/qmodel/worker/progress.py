"""Progress of a step: JSON lines on stdout that the operator tails and the CLI draws."""

from typing import TextIO

from qmodel.worker.report import ProgressLine


class Progress:
    """Writes one line a percent point, never going back.

    Parameters
    ----------
    step
        The step's name, as in its task.
    stream
        Where the lines go; None: the process's stdout, so that another process may go on telling.
    """

    def __init__(self, step: str, stream: TextIO | None = None) -> None:
        self._step = step
        self._stream = stream
        self._percent = -1

    def at(self, fraction: float, message: str = "") -> None:
        """Report that `fraction` (0 to 1) of the step is done."""
        percent = int(100 * min(max(fraction, 0.0), 1.0))
        if percent > self._percent:
            self._percent = percent
            line = ProgressLine(step=self._step, percent=percent, message=message)
            print(line.model_dump_json(by_alias=True), file=self._stream, flush=True)

    def part(self, start: float, end: float) -> "ProgressPart":
        """Return a view in which 0 to 1 stands for `start` to `end` of this step."""
        return ProgressPart(self, start, end)


class ProgressPart:
    """A share of a step, for a function that knows only its own 0 to 1."""

    def __init__(self, whole: Progress, start: float, end: float) -> None:
        self._whole, self._start, self._end = whole, start, end

    def at(self, fraction: float, message: str = "") -> None:
        """Report that `fraction` (0 to 1) of this share is done."""
        share = min(max(fraction, 0.0), 1.0)
        self._whole.at(self._start + (self._end - self._start) * share, message)

    def part(self, start: float, end: float) -> "ProgressPart":
        """Return a view in which 0 to 1 stands for `start` to `end` of this share."""
        width = self._end - self._start
        return ProgressPart(self._whole, self._start + width * start, self._start + width * end)
