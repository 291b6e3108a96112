"""Entry of `python3 tests/cluster`: needs nothing but the standard library."""

import sys
from pathlib import Path

# A folder that is run puts itself on the path, where `docker.py` would pass for the package docker.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from cluster.cli import main  # noqa: E402  the path comes first

if __name__ == "__main__":
    sys.exit(main())
