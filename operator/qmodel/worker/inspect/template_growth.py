"""How large the variables of a chat template become when its assignments repeat.

Every assignment is read as a sum of sizes and the whole is repeated, as a loop would: what is
added to grows as a power of the repeats, what is put together of itself doubles with each. What
comes from the request counts as one, and so does a list that a text was split into: its items
make no more than it.
"""

from collections.abc import Mapping

from jinja2 import nodes

from qmodel.worker.inspect.template_walk import walk

MAX_SIZE = 10_000_000
"""Of a variable after the first time."""
_REPEATS = 48
_MOST_GROWTH = 1000
"""From that many repeats to twice as many: a power of nine, and the least that doubles."""
_ABSURD = 1 << 200
_DATA = 1

Sizes = Mapping[str, int]
Assignment = nodes.Assign | nodes.AssignBlock


def growing(tree: nodes.Template) -> tuple[nodes.Node, str] | None:
    """Return the assignment that makes a text grow without bound; None if none does."""
    assignments = [node for node in walk(tree) if isinstance(node, Assignment)]
    macros = {node.name: _outputs(node) for node in walk(tree) if isinstance(node, nodes.Macro)}
    sizes: dict[str, int] = {}
    found = _repeat(assignments, sizes, macros, 1, MAX_SIZE)
    found = found or _repeat(assignments, sizes, macros, _REPEATS, _ABSURD)
    before = dict(sizes)
    found = found or _repeat(assignments, sizes, macros, _REPEATS, _ABSURD)
    if found is None:
        names = {name for name, size in before.items() if sizes[name] > _MOST_GROWTH * max(size, 1)}
        found = next((node for node in assignments if _name(node.target) in names), None)
    return (found, "puts a text together of itself, which doubles it each time") if found else None


def _repeat(
    assignments: list[Assignment], sizes: dict[str, int], macros: Sizes, times: int, largest: int
) -> Assignment | None:
    """Let the variables grow; return the assignment that went beyond the largest size."""
    for node in assignments * times:
        size = _assigned(node, sizes, macros)
        if size > largest:
            return node
        name = _name(node.target)
        sizes[name] = max(sizes.get(name, 0), size)
    return None


def _outputs(node: nodes.Node) -> int:
    """Return how many expressions a block writes."""
    return sum(len(inner.nodes) for inner in walk(node) if isinstance(inner, nodes.Output))


def _assigned(node: Assignment, sizes: Sizes, macros: Sizes) -> int:
    """Return the size of what a variable is set to."""
    if isinstance(node, nodes.Assign):
        return _DATA if _splits(node.node) else _size(node.node, sizes, macros)
    written = [part for n in walk(node) if isinstance(n, nodes.Output) for part in n.nodes]
    return sum(_size(part, sizes, macros) for part in written)


def _splits(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Getattr)
        and node.node.attr == "split"
    )


def _name(target: nodes.Node) -> str:
    """Return what a variable, or an attribute of a namespace, is called."""
    if isinstance(target, nodes.NSRef):
        return f"{target.name}.{target.attr}"
    if isinstance(target, nodes.Getattr) and isinstance(target.node, nodes.Name):
        return f"{target.node.name}.{target.attr}"
    return target.name if isinstance(target, nodes.Name) else ""


def _size(node: nodes.Node, sizes: Sizes, macros: Sizes) -> int:
    """Return the size of an expression, in characters of constants and parts of the request."""
    if isinstance(node, nodes.Const | nodes.TemplateData):
        text = node.data if isinstance(node, nodes.TemplateData) else node.value
        return len(text) if isinstance(text, str) else 0
    if isinstance(node, nodes.CondExpr | nodes.Or | nodes.And):
        return max(_size(part, sizes, macros) for part in _alternatives(node))
    if isinstance(node, nodes.Mul):
        return _product(node, sizes, macros)
    name = _name(node)
    if name in sizes or isinstance(node, nodes.Name | nodes.Compare | nodes.Test | nodes.Not):
        return sizes.get(name, _DATA)
    parts = sum(_size(part, sizes, macros) for part in node.iter_child_nodes())
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        parts *= macros.get(node.node.name, 1)
    return parts


def _product(node: nodes.Mul, sizes: Sizes, macros: Sizes) -> int:
    """Return the size of a text that is repeated."""
    times = [
        part.value
        for part in (node.left, node.right)
        if isinstance(part, nodes.Const) and isinstance(part.value, int)
    ]
    size = _size(node.left, sizes, macros) + _size(node.right, sizes, macros)
    return size * max([1, *times])


def _alternatives(node: nodes.CondExpr | nodes.Or | nodes.And) -> list[nodes.Node]:
    """Return the expressions of which one is the value."""
    if isinstance(node, nodes.CondExpr):
        return [part for part in (node.expr1, node.expr2) if part is not None]
    return [node.left, node.right]
