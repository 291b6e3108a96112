"""How often the parts of a chat template run, and how large what they give becomes.

Both are counted as polynomials of the request's size. Counted coarsely: an item counts as much as
the list that it is in. The bounds leave room above the templates that llama.cpp carries for its
tests.
"""

from jinja2 import nodes

from qmodel.worker.inspect.templates.forms import Form
from qmodel.worker.inspect.templates.names import Names
from qmodel.worker.inspect.templates.problems import Problem, UnboundedError
from qmodel.worker.inspect.templates.recursion import Recursion
from qmodel.worker.inspect.templates.sizes import Sizes
from qmodel.worker.inspect.templates.walk import expressions

MAX_ROUNDS = 10_000
"""That the template makes by itself, whatever the request."""
MAX_ROUNDS_EACH = 1_000_000
"""That it makes for each part, or combination of parts, of the request."""
MAX_SIZE = 300_000_000
"""Of a value, in characters, by itself and for each part of the request."""


def costly(tree: nodes.Template, names: Names) -> Problem | None:
    """Return the node that could cost too much, and what it does; None if none could."""
    node: nodes.Node = tree
    try:
        sizes = Sizes(tree, names, Recursion(names))
        for node, parents in expressions(tree):
            often = sizes.often(node, parents)
            if problem := _rounds(often) or _size(often, sizes.size(node)):
                return Problem(node, problem)
    except UnboundedError as error:
        return error.problem
    except RecursionError:
        return Problem(tree, "sets too many variables by each other")
    except OverflowError:
        return Problem(node, "is made of too many products of sizes")
    return None


def _rounds(often: Form) -> str | None:
    if often.get((), 0) > MAX_ROUNDS:
        return f"loops {often[()]:.0f} times by itself: at most {MAX_ROUNDS} are accepted"
    most = max(often.values(), default=0)
    if most > MAX_ROUNDS_EACH:
        each = f"loops {most:.0f} times for each part of the request"
        return f"{each}: at most {MAX_ROUNDS_EACH} are accepted"
    return None


def _size(often: Form, size: Form) -> str | None:
    written = max(often.values(), default=0) * max(size.values(), default=0)
    if written > MAX_SIZE:
        return f"writes up to {written:.3g} characters for each of the request's"
    return None
