"""Entry of `python tests/stores`: prints the folder to build the image of the servers from."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from stores.image import context  # noqa: E402 - found by the path set above

if __name__ == "__main__":
    print(context())
