"""Step `quantize`: makes the artifact of a revision."""

from qmodel.worker.quantize.artifact import run

__all__ = ["run"]
