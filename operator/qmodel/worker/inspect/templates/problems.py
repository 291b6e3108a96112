"""What makes a chat template unsafe."""

from typing import NamedTuple

from jinja2 import nodes


class Problem(NamedTuple):
    """Something that is refused."""

    node: nodes.Node
    what: str
    """What the template does there, as a message goes on after "the chat template"."""


class UnboundedError(Exception):
    """Something runs or grows without bound."""

    def __init__(self, node: nodes.Node, what: str) -> None:
        super().__init__(what)
        self.problem = Problem(node, what)
