"""`python -m qmodel`: the operator's process."""

import gc
import sys

gc.disable()  # what imports make stays for good: looking for garbage is a twentieth of a start

from qmodel.process import main  # noqa: E402  after that, which is the point

if __name__ == "__main__":
    sys.exit(main())
