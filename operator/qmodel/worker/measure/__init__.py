"""Step `measure`: what the server takes under full load, in the serving image.

Only the standard library, pydantic and httpx: the image holds the engine and little else.
"""

from qmodel.worker.measure.footprint import run

__all__ = ["run"]
