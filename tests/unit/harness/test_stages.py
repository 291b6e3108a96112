"""The demo's line of a stage."""

import io

from rich.console import Console

from demo.stages import stage


def test_a_long_line_of_a_build_pushes_nothing_off_a_narrow_terminal() -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=60, force_terminal=True, color_system=None)
    with stage(console, "Images") as now:
        now.tell(
            "#14 [serve-python 2/2] RUN --mount=type=cache,target=/root/.cache/pip pip install"
        )
        console.print(now)
    line = next(line for line in screen.getvalue().splitlines() if "#14" in line)
    assert "Images" in line
    assert " 0 s " in line
    assert line.rstrip().endswith("…")
