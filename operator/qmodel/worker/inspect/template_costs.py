"""What makes a chat template run or grow without end: loops, recursion, doubling.

How long a template runs cannot be told in general. These rules tell what cannot be harmless:
rounds and sizes that the template itself sets (not the request), recursion that does not go into
the parts of its argument, and texts replaced by several of themselves.
"""

import re
from collections.abc import Mapping
from math import prod

from jinja2 import nodes

from qmodel.worker.inspect.template_growth import growing
from qmodel.worker.inspect.template_walk import walk, walk_with_parents

MAX_NUMBER = 1_000_000
MAX_ROUNDS = 10_000
"""Of loops within each other whose rounds the template sets itself."""
MAX_NESTED_LOOPS = 6

Problem = tuple[nodes.Node, str]

_WIDE_FORMAT = re.compile(r"%[-+ #0]*\d{4}|\{[^{}]*:[^{}]*\d{4}")
_GOES_DEEPER = (
    nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Call, nodes.Dict, nodes.CondExpr, nodes.Or,
)  # fmt: skip
"""Arguments that are parts of others, or made of parts."""


def costly(tree: nodes.Template) -> Problem | None:
    """Return the node that could cost without bound, and what it does; None if none could."""
    numbers = _set_lengths(tree)
    macros = {macro.name: macro for macro in walk(tree) if isinstance(macro, nodes.Macro)}
    calling = _recursive(macros)
    for node, parents in walk_with_parents(tree):
        problem = (
            _number(node)
            or _loops(node, parents, numbers)
            or _recursion(node, parents, macros, calling)
            or _replacement(node)
        )
        if problem:
            return node, problem
    return growing(tree)


def _number(node: nodes.Node) -> str | None:
    """Return what is wrong with a number, or with arithmetic that makes large ones."""
    if isinstance(node, nodes.Pow):
        return "raises to a power, which no chat template needs"
    if isinstance(node, nodes.Mul) and isinstance(node.left, nodes.Mul):
        return "multiplies several times, which no chat template needs"
    if isinstance(node, nodes.Const):
        value = node.value
        if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
            return f"has the number {str(value)[:40]}: at most {MAX_NUMBER} is accepted"
        if isinstance(value, str) and _WIDE_FORMAT.search(value):
            return f"formats to an absurd width ({value[:60]!r})"
    return None


def _loops(
    node: nodes.Node, parents: tuple[nodes.Node, ...], lengths: Mapping[str, int]
) -> str | None:
    """Return what is wrong with a loop, given those that it stands in."""
    if not isinstance(node, nodes.For):
        return None
    loops = [loop for loop in (*parents, node) if isinstance(loop, nodes.For)]
    if len(loops) > MAX_NESTED_LOOPS:
        return f"has loops {len(loops)} deep: at most {MAX_NESTED_LOOPS} are accepted"
    rounds = prod(max(_rounds(loop.iter, lengths), 1) for loop in loops)
    if rounds > MAX_ROUNDS:
        return f"loops {rounds} times by itself: at most {MAX_ROUNDS} are accepted"
    if _is_range(node.iter) and any(isinstance(part, nodes.Mul) for part in walk(node.iter)):
        return "multiplies the rounds of a loop, which no chat template needs"
    return None


def _rounds(iterated: nodes.Node, lengths: Mapping[str, int]) -> int:
    """Return the rounds that the template itself sets; 0 where the request does."""
    if _is_range(iterated):
        numbers = [part for part in walk(iterated) if isinstance(part, nodes.Const | nodes.Name)]
        return sum(_length(part, lengths) for part in numbers)
    return _length(iterated, lengths)


def _length(node: nodes.Node, lengths: Mapping[str, int]) -> int:
    """Return a constant's number or length, at most what a loop may have and one more."""
    if isinstance(node, nodes.Name):
        return lengths.get(node.name, 0)
    if isinstance(node, nodes.List | nodes.Tuple | nodes.Dict):
        return len(node.items)
    if isinstance(node, nodes.Const):
        value = node.value
        if isinstance(value, int | float):
            return min(abs(int(value)), MAX_ROUNDS + 1)
        return len(value) if isinstance(value, str) else 0
    return 0


def _is_range(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and node.node.name == "range"
    )


def _set_lengths(tree: nodes.Template) -> dict[str, int]:
    """Return the largest number or length that each variable is set to."""
    lengths: dict[str, int] = {}
    for node in walk(tree):
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name):
            name = node.target.name
            lengths[name] = max(lengths.get(name, 0), _length(node.node, {}))
    return lengths


def _called(node: nodes.Node) -> str | None:
    """Return the name that a node calls."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        return node.node.name
    return None


def _recursive(macros: Mapping[str, nodes.Macro]) -> dict[str, set[str]]:
    """Return for each macro those that it reaches, over others too."""
    reached = {
        name: {called for node in walk(macro) if (called := _called(node)) in macros and called}
        for name, macro in macros.items()
    }
    for through in macros:
        for calls in reached.values():
            if through in calls:
                calls.update(reached[through])
    return reached


def _recursion(
    node: nodes.Node,
    parents: tuple[nodes.Node, ...],
    macros: Mapping[str, nodes.Macro],
    calling: Mapping[str, set[str]],
) -> str | None:
    """Return what is wrong with a call by which a macro, or a recursive loop, comes to itself."""
    name = _called(node)
    if not name or not isinstance(node, nodes.Call):
        return None
    within = [parent for parent in parents if isinstance(parent, nodes.Macro)]
    if name == "loop" or (name in macros and within and within[-1].name in calling[name]):
        given = [*node.args, *(keyword.value for keyword in node.kwargs)]
        known = {argument.name for macro in within for argument in macro.args}
        if not any(_goes_deeper(value, known) for value in given):
            return f"calls {name!r} from within itself without going into a part of its argument"
        if not any(isinstance(parent, nodes.If | nodes.For | nodes.CondExpr) for parent in parents):
            return f"calls {name!r} from within itself without a condition"
    return None


def _goes_deeper(value: nodes.Node, known: set[str]) -> bool:
    """Whether an argument is a part of another, as where a schema is walked."""
    if isinstance(value, nodes.Name):
        return value.name not in known
    return isinstance(value, _GOES_DEEPER)


def _replacement(node: nodes.Node) -> str | None:
    """Return what is wrong with replacing a text by several of itself."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        name = node.node.attr
    elif isinstance(node, nodes.Filter):
        name = node.name
    else:
        return None
    if name != "replace":
        return None
    texts = [a.value for a in node.args if isinstance(a, nodes.Const) and isinstance(a.value, str)]
    if len(texts) == 2 and (not texts[0] or texts[1].count(texts[0]) > 1):  # noqa: PLR2004  old, new
        return "replaces a text by several of itself, which doubles it each time"
    return None
