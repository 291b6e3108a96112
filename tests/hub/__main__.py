"""Entry of `python3 tests/hub`: needs nothing but the standard library."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from hub.cli import main  # noqa: E402 - found by the path set above

if __name__ == "__main__":
    sys.exit(main())
