"""Which expressions of a chat template are numbers, whatever the request says."""

from jinja2 import nodes

from qmodel.worker.inspect.templates.names import Names, Setting, called_name

_NUMERIC = (
    nodes.Add, nodes.Sub, nodes.Mul, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos,
    nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.CondExpr,
)  # fmt: skip
_LOOP_NUMBERS = frozenset({
    "index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0",
})  # fmt: skip
_NUMBERS = frozenset({"count", "int", "length"})
_OF_NUMBERS = frozenset({"dictsort", "max", "min"})


def is_number(  # noqa: PLR0911  one a kind of expression
    node: nodes.Node | None, names: Names, seen: set[int] | None = None
) -> bool:
    """Whether an expression is a number, or made of nothing but numbers."""
    seen = set() if seen is None else seen
    if node is None or id(node) in seen:
        return True  # all of it must be numbers: what is not was told when it was met first
    seen.add(id(node))
    if isinstance(node, nodes.Const):
        return not isinstance(node.value, str)
    if isinstance(node, nodes.Compare | nodes.Test | nodes.Not):
        return True
    if names.variable(node):
        settings = names.visible(node)
        known = bool(settings) and (not names.behind(node) or all(map(is_made, settings)))
        return known and all(is_number(setting.value, names, seen) for setting in settings)
    if isinstance(node, nodes.Getattr):
        named = isinstance(node.node, nodes.Name) and node.node.name == "loop"
        return named and node.attr in _LOOP_NUMBERS
    if isinstance(node, nodes.Filter) and node.name in _NUMBERS:
        return True
    if isinstance(node, nodes.Getitem):
        return is_number(node.node, names, seen)
    counted = called_name(node) == "range" if isinstance(node, nodes.Call) else False
    sorted_ = isinstance(node, nodes.Filter) and node.name in _OF_NUMBERS
    if counted or sorted_ or isinstance(node, _NUMERIC):
        parts = node.iter_child_nodes(exclude=("node",)) if counted else node.iter_child_nodes()
        return all(is_number(part, names, seen) for part in parts)
    return False


def is_made(setting: Setting) -> bool:
    """Whether a variable is set to what it is, made a number."""
    return isinstance(setting.value, nodes.Filter) and setting.value.name == "int"
