"""The project's own passages: several kinds of text, each file one passage.

`evaluation` is what models are judged on, `calibration` what they are calibrated on; they share
no passage.
"""

from importlib.resources import files
from typing import Literal


def prompts() -> list[str]:
    """Return the questions whose answers a model draws to be calibrated on."""
    text = files(__package__).joinpath("prompts", "calibration.txt").read_text(encoding="utf-8")
    return text.splitlines()


def passages(use: Literal["evaluation", "calibration"]) -> list[str]:
    """Return the passages for one use, in the order of their file names."""
    folder = files(__package__).joinpath(use)
    found = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return [entry.read_text(encoding="utf-8") for entry in found if entry.name.endswith(".txt")]
