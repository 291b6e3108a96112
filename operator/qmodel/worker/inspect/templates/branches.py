"""Which places of a chat template exclude each other, by the conditions that they stand under."""

from itertools import pairwise
from typing import TypeGuard

from jinja2 import nodes

from qmodel.worker.inspect.templates.names import Names
from qmodel.worker.inspect.templates.walk import Parents, walk


def exclusive(one: nodes.Node, other: nodes.Node, names: Names) -> bool:
    """Whether at most one of two nodes is reached, each time."""
    left, right = ((*names.parents[id(node)], node) for node in (one, other))
    if _in_other_arms(left, right):
        return True
    told = dict(_equal(left, names))
    return any(told.get(what, value) != value for what, value in _equal(right, names))


def is_compared(test: nodes.Node) -> TypeGuard[nodes.Compare]:
    """Whether a condition is that something equals a constant."""
    if not isinstance(test, nodes.Compare):
        return False
    first = test.ops[0]
    return len(test.ops) == 1 and first.op == "eq" and isinstance(first.expr, nodes.Const)


def _in_other_arms(left: Parents, right: Parents) -> bool:
    """Whether two nodes, each with what it stands in, are in different arms of one condition."""
    for (branch, inner), (same, other) in zip(pairwise(left), pairwise(right), strict=False):
        if branch is not same:
            break
        if isinstance(branch, nodes.If | nodes.CondExpr):
            taken = {_arm(branch, inner), _arm(branch, other)}
            if len(taken) > 1 and 0 not in taken:
                return True
    return False


def _arm(branch: nodes.If | nodes.CondExpr, child: nodes.Node) -> int:
    """Return which alternative of a condition a node stands in; 0 for the condition itself."""
    arms: list[list[nodes.Node]]
    if isinstance(branch, nodes.CondExpr):
        arms = [[branch.expr1], [branch.expr2] if branch.expr2 else []]
    else:
        arms = [branch.body, *([other] for other in list[nodes.Node](branch.elif_)), branch.else_]
    found = (n for n, arm in enumerate(arms, 1) if any(child is node for node in arm))
    return next(found, 0)


def _equal(parents: Parents, names: Names) -> list[tuple[str, object]]:
    """Return what is equal to which constant, by the conditions around a node."""
    found: list[tuple[str, object]] = []
    for parent, child in pairwise(parents):
        if (
            isinstance(parent, nodes.If)
            and is_compared(test := parent.test)
            and any(child is node for node in parent.body)
            and all(_set_once(n, names) for n in walk(test.expr) if isinstance(n, nodes.Name))
        ):
            found.append((repr(test.expr), test.ops[0].expr.as_const()))
    return found


def _set_once(node: nodes.Name, names: Names) -> bool:
    variable = names.variables[id(node)]
    once = not names.is_assigned(variable) or len(names.settings[variable]) == 1
    return bool(variable.macro) and once
