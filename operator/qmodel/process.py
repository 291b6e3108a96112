"""The operator's process: its settings, its log, its event loop."""

import gc
import logging
import sys

import kopf
import uvloop

from qmodel.cluster.credentials import CredentialsError
from qmodel.handlers import operate
from qmodel.settings import SettingsError, parse

YOUNG_OBJECTS = 20_000
"""New containers until a collection looks for cycles. Events and answers are trees of some hundred
dictionaries without one: at Python's 700 every third event pays for a look."""


def main() -> int:
    """Run until told to stop; return the exit status."""
    try:
        settings = parse(sys.argv[1:])
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201  before there is a log
        return 2
    log_format = kopf.LogFormat.FULL if settings.developing else kopf.LogFormat.JSON
    kopf.configure(debug=settings.verbose, log_format=log_format)
    # One line an event and handler says nothing that a pass does not say better.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    gc.freeze()  # what the imports made stays for good: no collection need look at it
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()
    try:
        return 0 if uvloop.run(operate(settings)) else 1
    except CredentialsError as error:
        print(f"No cluster to work in: {error}", file=sys.stderr)  # noqa: T201
        return 2
