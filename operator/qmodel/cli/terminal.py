"""Where output goes."""

from rich.console import Console

FILE_WIDTH = 140
"""Columns of what is written to a file or a pipe: tables need more than rich's 80."""


def console() -> Console:
    """Return the terminal as wide as it is, or a file that is wide enough for tables."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=FILE_WIDTH)
