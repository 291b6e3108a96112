"""`python tests/demo up|down`."""

import sys
from pathlib import Path

# A folder that is run puts itself on the path; its siblings are packages too.
TESTS = Path(__file__).resolve().parent.parent
sys.path[0] = str(TESTS)
sys.path.insert(1, str(TESTS.parent / "operator"))

from demo.cli import main  # noqa: E402  the path comes first

if __name__ == "__main__":
    sys.exit(main())
