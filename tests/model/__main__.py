"""Entry of `python tests/model`, with the Python of the developers' environment."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from model.cli import main  # noqa: E402 - found by the path set above

if __name__ == "__main__":
    sys.exit(main())
