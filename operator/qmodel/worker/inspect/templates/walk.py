"""Walking a Jinja tree without recursion, since its depth is the author's choice."""

from collections.abc import Iterator

from jinja2 import nodes

Parents = tuple[nodes.Node, ...]
"""The nodes that one stands in, outermost first."""


def walk(root: nodes.Node) -> Iterator[nodes.Node]:
    """Yield a node and everything below it, in the order in which it is written."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(list(node.iter_child_nodes())))


def walk_with_parents(root: nodes.Node) -> Iterator[tuple[nodes.Node, Parents]]:
    """Yield everything at and below a node, as written, with the nodes that it stands in."""
    waiting: list[tuple[nodes.Node, Parents]] = [(root, ())]
    while waiting:
        node, parents = waiting.pop()
        yield node, parents
        inner = (*parents, node)
        waiting.extend((child, inner) for child in reversed(list(node.iter_child_nodes())))


def expressions(root: nodes.Node) -> Iterator[tuple[nodes.Expr, Parents]]:
    """Yield what is read or computed, but for names that are set, with what it stands in."""
    for node, parents in walk_with_parents(root):
        named = isinstance(node, nodes.NSRef | nodes.Name) and getattr(node, "ctx", "") != "load"
        if isinstance(node, nodes.Expr) and not named:
            yield node, parents


def depth(root: nodes.Node) -> int:
    """Return how many nodes stand within each other at most."""
    deepest = 0
    waiting = [(root, 1)]
    while waiting:
        node, level = waiting.pop()
        deepest = max(deepest, level)
        waiting.extend((child, level + 1) for child in node.iter_child_nodes())
    return deepest
