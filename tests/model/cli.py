"""`python tests/model make|gguf|tiny|repositories|hub-image`: prints the path of what it made."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from model import checkpoint, repositories, source


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/model", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make", help="the real checkpoint, in the cache")
    commands.add_parser("gguf", help="the packaged GGUF file, in the cache")
    commands.add_parser("hub-image", help="the build context of the test hub's image")
    tiny = commands.add_parser("tiny", help="a random Llama with SmolLM2's tokenizer")
    tiny.add_argument("folder", type=Path)
    every = commands.add_parser("repositories", help="all repositories of the test hub")
    every.add_argument("folder", type=Path)
    print(_make(parser.parse_args(arguments)))
    return 0


def _make(chosen: argparse.Namespace) -> Path:
    match chosen.command:
        case "make":
            return checkpoint.make()
        case "gguf":
            return source.gguf_file()
        case "hub-image":
            return repositories.image_context()
        case "repositories":
            return repositories.write(Path(chosen.folder))
        case _:
            folder = Path(chosen.folder)
            folder.mkdir(parents=True, exist_ok=True)
            return repositories.random(folder)
