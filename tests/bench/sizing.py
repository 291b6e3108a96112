"""Memory limits against real peaks: one setting measured, the others by arithmetic.

Needs the cluster, the images, and the operator that it installs as the demo does.
"""

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.setting import prepared
from e2e.load import Outcome, outcome
from e2e.models import SMOLLM2, from_hub, spec

NAME = "bench-sizing"
MIB = 2**20
SETTINGS = ((2048, 2), (4096, 1), (1024, 8))
"""Tokens of a sequence, and sequences at once; the first is measured."""


def main() -> int:
    """Print one line a setting; return 1 if a limit is too low or too high."""
    console = Console()
    found = []
    with tempfile.TemporaryDirectory() as folder, prepared(Path(folder)) as (models, commands):
        for length, count in SETTINGS:
            serving = {"contextLength": length, "concurrency": count}
            models.apply(NAME, spec(from_hub(SMOLLM2), "Q8_0", serving=serving))
            models.wait_ready(NAME)
            models.wait_one_server(NAME)
            found.append(outcome(commands, models, NAME))
            console.print(f"{count} x {length} tokens: done")
    console.print(_table(found))
    return 0 if all(_is_right(each) for each in found) else 1


def _is_right(found: Outcome) -> bool:
    return 0 <= found.spare_bytes <= found.most_spare_bytes


def _table(found: list[Outcome]) -> Table:
    table = Table(title="Memory of one server of SmolLM2-135M Q8_0, all slots full, in MiB")
    for title in ("setting", "from", "predicted", "peak", "error", "limit", "spare", "allowed"):
        table.add_column(title, justify="right")
    for each in found:
        error = (each.predicted_bytes - each.peak_bytes) / each.peak_bytes
        table.add_row(
            f"{each.concurrency} x {each.context_length}",
            "measurement" if each.measured else "arithmetic",
            f"{each.predicted_bytes / MIB:.0f}",
            f"{each.peak_bytes / MIB:.0f}",
            f"{error:+.1%}",
            f"{each.limit_bytes / MIB:.0f}",
            f"{each.spare_bytes / MIB:.0f}",
            f"{each.most_spare_bytes / MIB:.0f}",
        )
    return table
