"""`python -m qmodel.worker.show DIRECTORY`: what lies beside an artifact, for a person's report.

Prints one JSON line: `{"files": TEXT}`, where TEXT is base64 of zlib of a JSON object from the name
of a file to its content. Compressed, because a log is cut off at some size, and a mixture of
experts has tens of thousands of parameters to list.
"""

import argparse
import base64
import json
import sys
import zlib
from pathlib import Path
from typing import Any

NAMES = ("details.json", "parameters.json", "provenance.json")
"""Read where they are there. Named here and not by the modules that write them, since those import
more than every image has."""
MAX_FILE_BYTES = 32 * 2**20
"""A larger file is left out: a report is for people."""


def main(argv: list[str] | None = None) -> int:
    """Print the files of one folder; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m qmodel.worker.show", description=__doc__)
    parser.add_argument("directory", type=Path, help="folder of an artifact")
    directory = parser.parse_args(argv).directory
    if not directory.is_dir():
        sys.stderr.write(f"there is no artifact at {directory}\n")
        return 1
    sys.stdout.write(json.dumps({"files": packed(read(directory))}) + "\n")
    return 0


def read(directory: Path) -> dict[str, Any]:
    """Return the content of each file that is there and not too large."""
    paths = [directory / name for name in NAMES]
    return {
        path.name: json.loads(path.read_bytes())
        for path in paths
        if path.is_file() and path.stat().st_size <= MAX_FILE_BYTES
    }


def packed(files: dict[str, Any]) -> str:
    """Return the files as compressed text."""
    text = json.dumps(files, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), level=9)).decode()


if __name__ == "__main__":
    sys.exit(main())
