"""The steps of the work that Jobs do, and the containers of all pods of ours."""

from enum import StrEnum


class Step(StrEnum):
    """Work done by Jobs. `quantize` evaluates too: two containers of one pod."""

    INSPECT = "inspect"
    FETCH = "fetch"
    QUANTIZE = "quantize"
    MEASURE = "measure"


class Container(StrEnum):
    """Containers of the Jobs; each carries out the task of its name."""

    INSPECT = "inspect"
    FETCH = "fetch"
    QUANTIZE = "quantize"
    EVALUATE = "evaluate"
    MEASURE = "measure"


SERVER_CONTAINER = "server"
"""Of a server's pod: what serves."""
VERIFY_CONTAINER = "verify"
"""Of a server's pod: what checks the artifact first."""
OWN_CONTAINERS = frozenset({*Container, SERVER_CONTAINER, VERIFY_CONTAINER})
"""All of ours; others, such as a mesh's proxy, are injected and say nothing about a step."""
