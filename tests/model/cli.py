"""`python tests/model make|tiny|gguf`: prints the path of what it made."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from model import checkpoint, source, tiny

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/model", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make", help="the real checkpoint, in the cache")
    commands.add_parser("gguf", help="the packaged GGUF file, in the cache")
    small = commands.add_parser("tiny", help="a random Llama with SmolLM2's tokenizer")
    small.add_argument("folder", type=Path)
    chosen = parser.parse_args(arguments)
    if chosen.command == "make":
        print(checkpoint.make())
    elif chosen.command == "gguf":
        print(source.gguf_file())
    else:
        print(tiny_with_tokenizer(chosen.folder))
    return 0


def tiny_with_tokenizer(out: Path) -> Path:
    """Write a random Llama that the whole pipeline can work on: vocabulary of the real one."""
    tiny.write(out, tiny.Shape(vocabulary=49152))
    for name in TOKENIZER_FILES:
        shutil.copy(checkpoint.make() / name, out / name)
    return out
