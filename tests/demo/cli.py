"""The demo's two verbs."""

import argparse
from collections.abc import Sequence

from demo import story
from demo.commands import DemoError
from qmodel.cli.terminal import console


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/demo", description=__doc__)
    parser.add_argument("verb", choices=["up", "down"])
    chosen = parser.parse_args(arguments)
    screen = console()
    try:
        {"up": story.up, "down": story.down}[chosen.verb](screen)
    except DemoError as error:
        screen.print(f"\n{error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        screen.print("\nStopped. `make demo` goes on from here; `make demo-down` removes it all.")
        return 130
    return 0
