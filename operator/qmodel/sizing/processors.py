"""CPU requests, and the threads that a process is told to use under them."""

from math import ceil

from qmodel.api.quantities import parse_quantity

SERVER_CPU = "250m"
"""CPU request of one server where spec has none: a share under contention, no bound. A node of two
cores has room for several models, and for a new revision beside the one that serves."""
LEAST_THREADS = 2
"""A request is no limit: with fewer threads a server on an idle node would leave it idle."""


def threads(cpu: str) -> int:
    """Return the compute threads under a CPU request."""
    return max(LEAST_THREADS, ceil(parse_quantity(cpu)))
