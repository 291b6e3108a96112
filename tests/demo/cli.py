"""The demo's two verbs."""

import argparse
from collections.abc import Sequence

from rich.console import Console

from demo import story
from demo.commands import DemoError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/demo", description=__doc__)
    parser.add_argument("verb", choices=["up", "down"])
    chosen = parser.parse_args(arguments)
    console = Console(highlight=False)
    try:
        {"up": story.up, "down": story.down}[chosen.verb](console)
    except DemoError as error:
        console.print(f"\n{error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped. `make demo` goes on from here; `make demo-down` removes it all.")
        return 130
    return 0
