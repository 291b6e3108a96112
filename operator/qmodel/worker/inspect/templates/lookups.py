"""What names and items of a chat template may stand for: nothing of Python, no hidden function."""

from collections.abc import Iterator

from jinja2 import nodes

from qmodel.worker.inspect.templates.listed import GLOBALS, is_internal
from qmodel.worker.inspect.templates.names import Names, called_name
from qmodel.worker.inspect.templates.numbers import is_number
from qmodel.worker.inspect.templates.walk import Parents


def of_name(node: nodes.Name, parents: Parents, names: Names) -> Iterator[str]:
    """Yield what is wrong with a name, where it stands."""
    parent = parents[-1]
    called = isinstance(parent, nodes.Call) and parent.node is node
    if node.name in GLOBALS or node.name.startswith("__"):
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
        call = parents[-2] if isinstance(parent, nodes.Keyword) else parent
        if not isinstance(parent, nodes.Getattr | nodes.Test) and not names.called(call):
            yield f"uses the namespace {node.name!r} other than for its attributes"


def _is_namespace_name(node: nodes.Name, names: Names) -> bool:
    """Whether a name is that of a namespace, in a loop that hides it too."""
    return names.variables[id(node)]._replace(loop=0) in names.namespaces


def of_item(node: nodes.Getitem, names: Names) -> Iterator[str]:
    """Yield what is wrong with an item: its key may lead to Python's attributes."""
    key = node.arg
    if isinstance(key, nodes.Const):
        if isinstance(key.value, str) and is_internal(key.value):
            yield f"reaches for Python through the item {key.value[:60]!r}"
    elif not isinstance(key, nodes.Slice) and not is_number(key, names):
        found = next((text for text in _texts(key, names) if "_" in text), None)
        if found is not None:
            yield f"reaches for Python through an item computed of {found[:60]!r}"


def _texts(node: nodes.Node, names: Names) -> Iterator[str]:
    """Yield the constant texts that an expression may be made of, over variables too."""
    waiting, seen = [node], set[int]()
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
