"""`python -m qmodel.worker.drain PORT SECONDS`: let the requests that have begun end.

A server drops every request when it is told to stop. This runs before that: it gives the
Service time to send requests elsewhere, then waits until the server computes nothing.
"""

import argparse
import re
import sys
import time
import urllib.request
from urllib.error import URLError

ENDPOINT_SECONDS = 3.0
"""Until every node has heard that this pod gets no more requests."""
_POLL_SECONDS = 0.5
_BUSY = re.compile(
    rb"^(?:llamacpp:requests_(?:processing|deferred)|vllm:num_requests_(?:running|waiting)\{.*\})"
    rb" ([0-9.e+]+)",
    re.MULTILINE,
)
"""What llama-server and vLLM count of requests."""


def main(argv: list[str] | None = None) -> int:
    """Wait for the server of a port; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m qmodel.worker.drain", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float, help="longest time to wait")
    arguments = parser.parse_args(argv)
    deadline = time.monotonic() + arguments.seconds
    time.sleep(min(ENDPOINT_SECONDS, arguments.seconds))
    while is_busy(arguments.port) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return 0


def is_busy(port: int) -> bool:
    """Whether the server computes or keeps requests waiting; False where it does not answer.

    One that answers without these counts may be busy.
    """
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            counts = _BUSY.findall(answer.read())
    except (URLError, TimeoutError, ConnectionError):
        return False
    return not counts or any(float(count) > 0 for count in counts)


if __name__ == "__main__":
    sys.exit(main())
