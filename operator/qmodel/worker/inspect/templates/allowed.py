"""What a chat template may use: the statements, functions, methods and filters of published ones.

What is not listed is refused. A name that may be called can be neither set nor passed on, so that
what is called is what is written.
"""

from collections.abc import Iterator

from jinja2 import nodes

from qmodel.worker.inspect.templates.calls import of_block_filter, of_call, of_filter
from qmodel.worker.inspect.templates.listed import (
    FUNCTIONS,
    INTERNALS,
    NODES,
    NOT_LISTED,
    OTHER_FILES,
    TESTS,
    is_internal,
)
from qmodel.worker.inspect.templates.lookups import of_item, of_name
from qmodel.worker.inspect.templates.names import Names
from qmodel.worker.inspect.templates.numbers import is_number
from qmodel.worker.inspect.templates.problems import Problem
from qmodel.worker.inspect.templates.walk import Parents, walk_with_parents

MAX_NUMBER = 1_000_000
MAX_NESTED_LOOPS = 4


def forbidden(tree: nodes.Template, names: Names) -> Iterator[Problem]:
    """Yield what a chat template may not use, and what of it is wrong."""
    for node, parents in walk_with_parents(tree):
        for problem in _of(node, parents, names):
            yield Problem(node, problem)


def _of(  # noqa: C901, PLR0912  one alternative a kind of node
    node: nodes.Node, parents: Parents, names: Names
) -> Iterator[str]:
    """Yield what is wrong with one node."""
    if isinstance(node, OTHER_FILES):
        yield f"loads another template ({type(node).__name__.lower()})"
    elif not isinstance(node, NODES):
        yield f"uses {type(node).__name__}, {NOT_LISTED}"
    elif isinstance(node, nodes.Const):
        yield from _constant(node)
    elif isinstance(node, nodes.Name):
        yield from of_name(node, parents, names)
    elif isinstance(node, nodes.NSRef) and names.variable(node) is None:
        yield f"sets an attribute of {node.name[:60]!r}, which is no namespace"
    elif isinstance(node, nodes.Getattr) and is_internal(node.attr):
        yield f"reaches for Python through the attribute {node.attr[:60]!r}"
    elif isinstance(node, nodes.Getitem):
        yield from of_item(node, names)
    elif isinstance(node, nodes.Call):
        yield from of_call(node, parents, names)
    elif isinstance(node, nodes.Filter):
        yield from of_filter(node, names)
    elif isinstance(node, nodes.Test) and node.name not in TESTS:
        yield f"uses the test {node.name!r}, {NOT_LISTED}"
    elif isinstance(node, nodes.BinExpr):
        yield from _arithmetic(node, names)
    elif isinstance(node, nodes.For):
        yield from _loop(node, parents)
    elif isinstance(node, nodes.Macro):
        yield from _macro(node, parents, names)
    elif isinstance(node, nodes.AssignBlock | nodes.FilterBlock) and node.filter:
        yield from of_block_filter(node.filter)


def _constant(node: nodes.Const) -> Iterator[str]:
    value = node.value
    if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
        yield f"has the number {str(value)[:40]}: at most {MAX_NUMBER} is accepted"
    if isinstance(value, str) and ("__" in value or value in INTERNALS):
        yield f"reaches for Python through the text {value[:60]!r}"


def _arithmetic(node: nodes.BinExpr, names: Names) -> Iterator[str]:
    """Yield what is wrong with an operator that makes large numbers or texts."""
    counts = is_number(node.left, names), is_number(node.right, names)
    if isinstance(node, nodes.Mul) and not any(counts):
        yield "multiplies by other than counts and constants"
    if isinstance(node, nodes.Mod | nodes.Div | nodes.FloorDiv):
        by = getattr(node.right, "value", 0)
        if not counts[0] or not isinstance(by, int) or by < 1:
            yield "divides other than a count by a constant, or formats a text"


def _loop(node: nodes.For, parents: Parents) -> Iterator[str]:
    if node.recursive:
        yield f"has a recursive loop, {NOT_LISTED}"
    around = [parent for parent in parents if isinstance(parent, nodes.For)]
    if len(around) >= MAX_NESTED_LOOPS:
        deep = len(around) + 1
        yield f"has loops {deep} deep: at most {MAX_NESTED_LOOPS} are accepted"


def _macro(node: nodes.Macro, parents: Parents, names: Names) -> Iterator[str]:
    inside = (nodes.Macro, nodes.For, nodes.AssignBlock, nodes.FilterBlock)
    if any(isinstance(parent, inside) for parent in parents):
        yield f"defines {node.name[:60]!r} within another macro or a loop"
    if names.macros[node.name] is not node or node.name in FUNCTIONS:
        yield f"defines {node.name[:60]!r} twice"
