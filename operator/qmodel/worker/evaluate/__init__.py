"""Step `evaluate`: compares the saved artifact with the unquantized source."""

from qmodel.worker.evaluate.comparison import run

__all__ = ["run"]
