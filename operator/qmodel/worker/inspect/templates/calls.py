"""What a chat template may call: listed functions, methods and filters, with plain arguments."""

import re
from collections.abc import Iterator

from jinja2 import nodes

from qmodel.worker.inspect.templates.listed import (
    BLOCK_FILTERS,
    BY_ATTRIBUTE,
    BY_NAME,
    FILTERS,
    FUNCTIONS,
    GLOBALS,
    METHODS,
    NOT_LISTED,
    TESTS,
    TOLD,
    is_internal,
)
from qmodel.worker.inspect.templates.names import Names, Variable, arguments, called_name
from qmodel.worker.inspect.templates.numbers import is_made, is_number
from qmodel.worker.inspect.templates.walk import Parents

MAX_INDENT = 16
_PLAIN_FIELDS = re.compile(r"(?:[^{}]|\{\w*\}|\{\{|\}\})*")
_PLAIN_DATE = re.compile(r"(?:[^%]|%-?[A-Za-z%])*")


def of_call(node: nodes.Call, parents: Parents, names: Names) -> Iterator[str]:
    """Yield what is wrong with a call."""
    name = called_name(node)
    if name in GLOBALS or is_internal(getattr(node.node, "attr", "")):
        return  # told of the name
    if node.dyn_args or node.dyn_kwargs:
        yield "calls with arguments that are not written out"
    elif name in names.macros:
        macro = names.macros[name]
        keys = {argument.name for argument in macro.args}
        if len(node.args) > len(macro.args) or any(k.key not in keys for k in node.kwargs):
            yield f"gives {name!r} more than it takes"
        for key, value in arguments(node, macro).items():
            held = Variable(key, name) in names.namespaces
            if held and names.variable(value) not in names.namespaces:
                yield f"gives {name!r} other than a namespace, which it takes elsewhere"
    elif name in FUNCTIONS:
        yield from _function(node, name, parents, names)
    elif name:
        yield f"calls {name[:60]!r}, {NOT_LISTED}"
    elif not isinstance(node.node, nodes.Getattr) or node.node.attr not in METHODS:
        method = getattr(node.node, "attr", "a value")
        yield f"calls {method[:60]!r}, {NOT_LISTED}"
    else:
        yield from _method(node.node, names)


def _function(node: nodes.Call, name: str, parents: Parents, names: Names) -> Iterator[str]:
    parent = parents[-1]
    if name == "namespace" and (
        node.args
        or not isinstance(parent, nodes.Assign)
        or not isinstance(parent.target, nodes.Name)
    ):
        yield "makes a namespace other than of named values, for a variable of its own"
    if name == "range" and not all(is_number(value, names) for value in node.args):
        yield "has a range of other than counts and constants"
    if name == "strftime_now" and not all(_fits(value, _PLAIN_DATE) for value in node.args):
        yield "formats the date by other than a plain constant"


def _method(method: nodes.Getattr, names: Names) -> Iterator[str]:
    if method.attr == "format" and not _fits(method.node, _PLAIN_FIELDS):
        yield "formats by other than a constant with plain fields, as in '{}'"
    if method.attr in ("append", "pop"):
        variable = names.variable(method.node)
        settings = names.settings.get(variable, []) if variable else []
        own = [s for s in settings if not isinstance(s.by, nodes.Call) or called_name(s.by)]
        if not own or not all(isinstance(s.value, nodes.List) for s in own):
            yield f"uses {method.attr!r} on other than a list of its own"


def of_filter(node: nodes.Filter, names: Names) -> Iterator[str]:
    """Yield what is wrong with a filter."""
    given = [*node.args, *(keyword.value for keyword in node.kwargs)]
    if node.name not in FILTERS:
        yield f"uses the filter {node.name!r}, {NOT_LISTED}"
    if node.dyn_args or node.dyn_kwargs:
        yield "calls with arguments that are not written out"
    if node.name in BY_NAME | BY_ATTRIBUTE:
        told = node.args[: TOLD.get(node.name)]
        yield from _named(node, [*told, *(keyword.value for keyword in node.kwargs)])
    if node.name == "indent" or (node.name == "tojson" and given):
        numbers = [getattr(value, "value", MAX_INDENT + 1) for value in given]
        if not all(isinstance(n, int) and n <= MAX_INDENT for n in numbers if n is not None):
            yield f"indents by other than a constant of at most {MAX_INDENT}"
    if node.name == "int" and not _is_argument(node.node, names):
        yield "makes a number of a text, other than of an argument of the template"


def of_block_filter(node: nodes.Filter) -> Iterator[str]:
    """Yield what is wrong with the filter of a block."""
    if node.node or node.args or node.kwargs or node.name not in BLOCK_FILTERS:
        yield f"filters a block by {node.name!r}, {NOT_LISTED}"


def _named(node: nodes.Filter, given: list[nodes.Expr]) -> Iterator[str]:
    """Yield what is wrong with a filter that is told attributes, filters or tests by name."""
    if not all(isinstance(value, nodes.Const) for value in given):
        yield f"computes the name of an attribute (filter {node.name})"
    texts = [value.value for value in given if isinstance(value, nodes.Const)]
    if any(is_internal(part) for text in texts for part in re.split(r"[.\[\]]", str(text))):
        yield f"reaches for Python through the filter {node.name}"
    place = 1 if node.name in ("selectattr", "rejectattr") else 0
    known = FILTERS - BY_NAME if node.name == "map" else TESTS
    names = node.args[place : place + 1] if node.name in BY_NAME else []
    if any(getattr(name, "value", "") not in known for name in names):
        yield f"uses an unknown name in the filter {node.name}"
    if node.name == "map" and len(given) > 1:
        yield "gives a filter that 'map' uses more than what it is used on"


def _is_argument(node: nodes.Node | None, names: Names) -> bool:
    """Whether an expression is what the request gives by one name, or a default number."""
    while isinstance(node, nodes.Filter) and node.name in ("default", "d") and node.node:
        if not all(is_number(value, names) for value in node.args):
            return False
        node = node.node
    if not isinstance(node, nodes.Name) or names.variable(node) != Variable(node.name):
        return False
    return all(map(is_made, names.visible(node)))


def _fits(node: nodes.Node, pattern: re.Pattern[str]) -> bool:
    """Whether an expression is a constant text of some pattern."""
    text = node.value if isinstance(node, nodes.Const) else None
    return isinstance(text, str) and bool(pattern.fullmatch(text))
