"""`python -m qmodel.worker.drain PORT SECONDS`: let the requests that have begun end.

A server drops every request when it is told to stop. This runs before that: it gives the
Service time to send requests elsewhere, then waits until the server computes nothing.
"""

import argparse
import re
import sys
import time
import urllib.request
from urllib.error import HTTPError, URLError

ENDPOINT_SECONDS = 3.0
"""Until every node has heard that this pod gets no more requests."""
_POLL_SECONDS = 0.5
_BUSY = re.compile(
    rb"^(?:llamacpp:requests_(?:processing|deferred)|vllm:num_requests_(?:running|waiting)\{.*\})"
    rb" ([0-9.e+]+)",
    re.MULTILINE,
)
"""What llama-server and vLLM count of requests."""
_LOAD = re.compile(rb'"server_load": *(-?[0-9]+)')
"""What vLLM counts from their arrival on. The metrics know of a request only once its first batch
was computed, which takes a CPU tens of seconds."""
_ANSWER_SECONDS = 5.0


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
    """Whether the server computes or keeps requests waiting; False where it is gone.

    One that answers without these counts, or takes its time to answer, may be busy.
    """
    try:
        counts = _BUSY.findall(_page(port, "metrics"))
        load = _LOAD.search(_page(port, "load"))
    except TimeoutError:
        return True
    except URLError as error:
        return isinstance(error.reason, TimeoutError)
    except ConnectionError:
        return False
    arrived = load is not None and int(load[1]) > 0
    return arrived or not counts or any(float(count) > 0 for count in counts)


def _page(port: int, name: str) -> bytes:
    """Return a page of the server; nothing where it has no such page."""
    url = f"http://127.0.0.1:{port}/{name}"
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as answer:
            content: bytes = answer.read()
            return content
    except HTTPError:
        return b""


if __name__ == "__main__":
    sys.exit(main())
