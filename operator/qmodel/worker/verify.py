"""`python -m qmodel.worker.verify DIRECTORY`: nothing damaged is served.

An init container of the server runs it, so every byte is read before the server starts; sizes
and times prove nothing about what a disk gives back.
"""

import argparse
import sys
from pathlib import Path

from qmodel.worker import manifest
from qmodel.worker.logs import log_json_lines
from qmodel.worker.progress import Progress
from qmodel.worker.report import Report
from qmodel.worker.termination import TERMINATION_LOG, answer


def main(argv: list[str] | None = None) -> int:
    """Verify one folder; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m qmodel.worker.verify", description=__doc__)
    parser.add_argument("directory", type=Path, help="folder with a manifest.json")
    parser.add_argument("--termination-log", type=Path, default=Path(TERMINATION_LOG))
    arguments = parser.parse_args(argv)
    log_json_lines()

    def work() -> Report:
        manifest.verify(arguments.directory, Progress("verify"))
        return Report(step="verify")

    return answer("verify", arguments.termination_log, work)


if __name__ == "__main__":
    sys.exit(main())
