"""`python3 tests/browser/chromium.py`: make sure that there is a Chromium to look at pages with.

The distribution's own: a browser that a package of Python brings would be a second, unpatched one.
"""

import os
import shutil
import subprocess
import sys

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PACKAGE = "chromium"
INSTALL_SECONDS = 900


def path() -> str | None:
    """Return the browser that is installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def ensure() -> int:
    """Install the browser where that is possible; return the exit status."""
    if path() is not None:
        return 0
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"error: the tests of pages need Chromium: install {PACKAGE}", file=sys.stderr)
        return 1
    print(f"installing {PACKAGE}", flush=True)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", PACKAGE]
    for command in (["apt-get", "update"], install):
        done = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            print(f"error: {' '.join(command)}:\n{done.stderr[-2000:]}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(ensure())
