"""`python3 tests/hub serve --root DIR`, and `seed DIR` to copy a repository's files to a volume."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from hub.server import Hub
from hub.store import Store

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 tests/hub", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of <owner>/<name>")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="answer until the process ends")
    serve.add_argument("--host", default="0.0.0.0")
    serve.add_argument("--port", type=int, default=8080)
    seed = commands.add_parser("seed", help="copy a repository's files into a folder")
    seed.add_argument("--repository", default=MODEL)
    seed.add_argument("folder", type=Path)
    chosen = parser.parse_args(arguments)
    if chosen.command == "seed":
        shutil.copytree(chosen.root / chosen.repository, chosen.folder, dirs_exist_ok=True)
        return 0
    Store(chosen.root).hash_all()
    hub = Hub(chosen.root, chosen.host, chosen.port)
    print(f"serving {chosen.root} at {hub.url}", flush=True)
    hub.serve_forever()
    return 0
