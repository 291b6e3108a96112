"""What a chat template may use: the statements, functions, methods and filters of published ones.

What is not listed is refused. A name that may be called can be neither set nor passed on, so that
what is called is what is written.
"""

import re
from collections.abc import Iterator

from jinja2 import nodes

from qmodel.worker.inspect.templates.names import Names, Variable, arguments, called_name
from qmodel.worker.inspect.templates.numbers import is_made, is_number
from qmodel.worker.inspect.templates.problems import Problem
from qmodel.worker.inspect.templates.walk import Parents, walk_with_parents

MAX_NUMBER = 1_000_000
MAX_INDENT = 16
MAX_NESTED_LOOPS = 4

_OTHER_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign,
    nodes.AssignBlock, nodes.Macro, nodes.Scope, nodes.FilterBlock, nodes.Break, nodes.Continue,
    nodes.Name, nodes.NSRef, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair,
    nodes.Keyword, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Call, nodes.Filter, nodes.Test,
    nodes.Compare, nodes.Operand, nodes.CondExpr, nodes.Concat, nodes.Add, nodes.Sub, nodes.Mul,
    nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.Not, nodes.And, nodes.Or,
)  # fmt: skip
_FUNCTIONS = frozenset({"namespace", "raise_exception", "range", "strftime_now"})
_GLOBALS = frozenset({
    "caller", "cycler", "dict", "joiner", "kwargs", "lipsum", "self", "super", "varargs",
})  # fmt: skip
"""Names of Jinja's own objects: their methods lead to Python, their values are uncounted."""
_METHODS = frozenset({
    "append", "capitalize", "endswith", "find", "format", "get", "items", "keys", "lower",
    "lstrip", "partition", "pop", "removeprefix", "removesuffix", "replace", "rfind",
    "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "title",
    "upper", "values",
})  # fmt: skip
_BY_NAME = frozenset({"map", "reject", "rejectattr", "select", "selectattr"})
_TOLD = {"reject": 1, "select": 1, "rejectattr": 2, "selectattr": 2}
"""Names that a filter is told first; with what follows, its test only compares."""
_BY_ATTRIBUTE = frozenset({"max", "min", "sort", "unique"})
_FILTERS = _BY_NAME | _BY_ATTRIBUTE | frozenset({
    "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "from_json",
    "indent", "int", "items", "join", "last", "length", "list", "lower", "replace", "reverse",
    "safe", "string", "title", "tojson", "trim", "upper",
})  # fmt: skip
_BLOCK_FILTERS = frozenset({"lower", "safe", "string", "trim", "upper"})
_TESTS = frozenset({
    "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "gt",
    "in", "integer", "iterable", "le", "lt", "mapping", "ne", "none", "number", "odd", "sameas",
    "sequence", "string", "true", "undefined", "==", "!=",
})  # fmt: skip
_INTERNALS = frozenset({
    "ag_code", "ag_frame", "cr_code", "cr_frame", "f_builtins", "f_globals", "f_locals",
    "format_map", "func_code", "func_globals", "gi_code", "gi_frame", "mro", "tb_frame",
})  # fmt: skip
"""Attributes by which templates reached the interpreter in earlier holes of the sandbox."""
_PLAIN_FIELDS = re.compile(r"(?:[^{}]|\{\w*\}|\{\{|\}\})*")
_PLAIN_DATE = re.compile(r"(?:[^%]|%-?[A-Za-z%])*")


def forbidden(tree: nodes.Template, names: Names) -> Iterator[Problem]:
    """Yield what a chat template may not use, and what of it is wrong."""
    for node, parents in walk_with_parents(tree):
        for problem in _of(node, parents, names):
            yield Problem(node, problem)


def _of(  # noqa: C901, PLR0912  one alternative a kind of node
    node: nodes.Node, parents: Parents, names: Names
) -> Iterator[str]:
    """Yield what is wrong with one node."""
    if isinstance(node, _OTHER_FILES):
        yield f"loads another template ({type(node).__name__.lower()})"
    elif isinstance(node, nodes.Pow):
        yield "raises to a power, which no chat template needs"
    elif not isinstance(node, _NODES):
        yield f"uses {type(node).__name__}, which no published chat template does"
    elif isinstance(node, nodes.Const):
        yield from _constant(node)
    elif isinstance(node, nodes.Name):
        yield from _name(node, parents, names)
    elif isinstance(node, nodes.NSRef) and names.variable(node) is None:
        yield f"sets an attribute of {node.name[:60]!r}, which is no namespace"
    elif isinstance(node, nodes.Getattr) and _internal(node.attr):
        yield f"reaches for Python through the attribute {node.attr[:60]!r}"
    elif isinstance(node, nodes.Getitem):
        yield from _item(node, names)
    elif isinstance(node, nodes.Call):
        yield from _call(node, parents, names)
    elif isinstance(node, nodes.Filter):
        yield from _filter(node, names)
    elif isinstance(node, nodes.Test) and node.name not in _TESTS:
        yield f"uses the test {node.name!r}, which no published chat template does"
    elif isinstance(node, nodes.BinExpr):
        yield from _arithmetic(node, names)
    elif isinstance(node, nodes.For):
        yield from _loop(node, parents)
    elif isinstance(node, nodes.Macro):
        yield from _macro(node, parents, names)
    elif isinstance(node, nodes.AssignBlock | nodes.FilterBlock) and node.filter:
        yield from _block_filter(node.filter)


def _constant(node: nodes.Const) -> Iterator[str]:
    value = node.value
    if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
        yield f"has the number {str(value)[:40]}: at most {MAX_NUMBER} is accepted"
    if isinstance(value, str) and ("__" in value or value in _INTERNALS):
        yield f"reaches for Python through the text {value[:60]!r}"


def _name(node: nodes.Name, parents: Parents, names: Names) -> Iterator[str]:
    """Yield what is wrong with a name, where it stands."""
    parent = parents[-1]
    called = isinstance(parent, nodes.Call) and parent.node is node
    if node.name in _GLOBALS or node.name.startswith("__"):
        yield f"reaches for Python through {node.name!r}"
    elif node.name in names.callable and not called and not isinstance(parent, nodes.Test):
        what = "uses" if node.ctx == "load" else "sets"
        yield f"{what} {node.name!r}, which is a function, other than by calling it"
    elif node.name == "loop" and not (isinstance(parent, nodes.Getattr) and node.ctx == "load"):
        yield "uses 'loop' other than for its attributes"
    elif node.ctx == "store" and _is_namespace_name(node, names):
        value = parent.node if isinstance(parent, nodes.Assign) else None
        if not isinstance(value, nodes.Call) or called_name(value) != "namespace":
            yield f"sets {node.name!r} to other than a namespace, which it is elsewhere"
    elif node.ctx == "load" and names.variable(node) in names.namespaces:
        given = isinstance(parent, nodes.Keyword) and isinstance(parents[-2], nodes.Call)
        call = parents[-2] if given else parent
        if not isinstance(parent, nodes.Getattr | nodes.Test) and not (
            names.called(call) and not called
        ):
            yield f"uses the namespace {node.name!r} other than for its attributes"


def _is_namespace_name(node: nodes.Name, names: Names) -> bool:
    """Whether a name is that of a namespace, in a loop that hides it too."""
    return names.variables[id(node)]._replace(loop=0) in names.namespaces


def _block_filter(node: nodes.Filter) -> Iterator[str]:
    if node.node or node.args or node.kwargs or node.name not in _BLOCK_FILTERS:
        yield f"filters a block by {node.name!r}, which no published chat template does"


def _item(node: nodes.Getitem, names: Names) -> Iterator[str]:
    """Yield what is wrong with an item: its key may lead to Python's attributes."""
    key = node.arg
    if isinstance(key, nodes.Const):
        if isinstance(key.value, str) and _internal(key.value):
            yield f"reaches for Python through the item {key.value[:60]!r}"
    elif not isinstance(key, nodes.Slice) and not is_number(key, names):
        found = next((text for text in _texts(key, names, set()) if "_" in text), None)
        if found is not None:
            yield f"reaches for Python through an item computed of {found[:60]!r}"


def _texts(node: nodes.Node, names: Names, seen: set[int]) -> Iterator[str]:
    """Yield the constant texts that an expression may be made of, over variables too."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, nodes.TemplateData):
            yield node.data
        elif names.variable(node):
            waiting += [setting.value for setting in names.visible(node)]
            if behind := names.behind(node):
                waiting += [setting.value for setting in names.settings.get(behind, [])]
        elif macro := names.called(node):
            waiting.append(macro)
        elif isinstance(node, nodes.Getitem):
            waiting.append(node.node)
        elif isinstance(node, nodes.Call) and getattr(node.node, "attr", "") == "get":
            waiting += [node.node, *node.args[1:]]
        else:
            waiting += node.iter_child_nodes()


def _call(node: nodes.Call, parents: Parents, names: Names) -> Iterator[str]:
    """Yield what is wrong with a call."""
    name = called_name(node)
    if name in _GLOBALS or _internal(getattr(node.node, "attr", "")):
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
    elif name in _FUNCTIONS:
        yield from _function(node, name, parents, names)
    elif name:
        yield f"calls {name[:60]!r}, which no published chat template does"
    elif not isinstance(node.node, nodes.Getattr) or node.node.attr not in _METHODS:
        method = getattr(node.node, "attr", "a value")
        yield f"calls {method[:60]!r}, which no published chat template does"
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


def _filter(node: nodes.Filter, names: Names) -> Iterator[str]:
    """Yield what is wrong with a filter."""
    given = [*node.args, *(keyword.value for keyword in node.kwargs)]
    if node.name not in _FILTERS:
        yield f"uses the filter {node.name!r}, which no published chat template does"
    if node.dyn_args or node.dyn_kwargs:
        yield "calls with arguments that are not written out"
    if node.name in _BY_NAME | _BY_ATTRIBUTE:
        told = node.args[: _TOLD.get(node.name)]
        yield from _named(node, [*told, *(keyword.value for keyword in node.kwargs)])
    if node.name == "indent" or (node.name == "tojson" and given):
        numbers = [getattr(value, "value", MAX_INDENT + 1) for value in given]
        if not all(isinstance(n, int) and n <= MAX_INDENT for n in numbers if n is not None):
            yield f"indents by other than a constant of at most {MAX_INDENT}"
    if node.name == "int" and not _is_argument(node.node, names):
        yield "makes a number of a text, other than of an argument of the template"


def _named(node: nodes.Filter, given: list[nodes.Expr]) -> Iterator[str]:
    """Yield what is wrong with a filter that is told attributes, filters or tests by name."""
    if not all(isinstance(value, nodes.Const) for value in given):
        yield f"computes the name of an attribute (filter {node.name})"
    texts = [value.value for value in given if isinstance(value, nodes.Const)]
    if any(_internal(part) for text in texts for part in re.split(r"[.\[\]]", str(text))):
        yield f"reaches for Python through the filter {node.name}"
    place = 1 if node.name in ("selectattr", "rejectattr") else 0
    known = _FILTERS - _BY_NAME if node.name == "map" else _TESTS
    names = node.args[place : place + 1] if node.name in _BY_NAME else []
    if any(getattr(name, "value", "") not in known for name in names):
        yield f"uses an unknown name in the filter {node.name}"


def _is_argument(node: nodes.Node | None, names: Names) -> bool:
    """Whether an expression is what the request gives by one name, or a default number."""
    while isinstance(node, nodes.Filter) and node.name in ("default", "d") and node.node:
        if not all(is_number(value, names) for value in node.args):
            return False
        node = node.node
    if not isinstance(node, nodes.Name) or names.variable(node) != Variable(node.name):
        return False
    return all(map(is_made, names.visible(node)))


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
        yield "has a recursive loop, which no published chat template does"
    around = [parent for parent in parents if isinstance(parent, nodes.For)]
    if len(around) >= MAX_NESTED_LOOPS:
        deep = len(around) + 1
        yield f"has loops {deep} deep: at most {MAX_NESTED_LOOPS} are accepted"


def _macro(node: nodes.Macro, parents: Parents, names: Names) -> Iterator[str]:
    inside = (nodes.Macro, nodes.For, nodes.AssignBlock, nodes.FilterBlock)
    if any(isinstance(parent, inside) for parent in parents):
        yield f"defines {node.name[:60]!r} within another macro or a loop"
    if names.macros[node.name] is not node or node.name in _FUNCTIONS:
        yield f"defines {node.name[:60]!r} twice"
    if any(target.name in names.macros for target in node.args):
        yield f"names an argument of {node.name[:60]!r} as a macro"


def _internal(name: str) -> bool:
    return name.startswith("_") or name in _INTERNALS


def _fits(node: nodes.Node, pattern: re.Pattern[str]) -> bool:
    """Whether an expression is a constant text of some pattern."""
    text = node.value if isinstance(node, nodes.Const) else None
    return isinstance(text, str) and bool(pattern.fullmatch(text))
