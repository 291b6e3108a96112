"""Which expressions of a chat template are parts of a macro's parameter, and which parts."""

from dataclasses import dataclass, replace

from jinja2 import nodes

from qmodel.worker.inspect.templates.branches import is_compared
from qmodel.worker.inspect.templates.names import Names, Setting, Variable

ANY = "*"
"""A step into an item that is not named."""
_UNCHANGED = frozenset({"items", "dictsort", "default", "list"})
"""Filters that give what they are used on, or its pairs."""


@dataclass(frozen=True)
class Part:
    """A part of a parameter: the steps into it, and the loops that go over its siblings."""

    parameter: Variable
    steps: tuple[str, ...] = ()
    loops: frozenset[int] = frozenset()
    wraps: int = 0
    """How often it was put into a mapping again."""

    def into(self, step: str, *loops: int) -> "Part":
        """Return a part of this part."""
        return replace(self, steps=(*self.steps, step), loops=self.loops | set(loops))

    def overlaps(self, other: "Part") -> bool:
        """Whether one part may be the other, or lie in it."""
        steps = zip(self.steps, other.steps, strict=False)
        return all(a == b or ANY in (a, b) for a, b in steps)


class Parts:
    """Traces expressions back to the parameters that they are parts of."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._traced: dict[int, Part | None] = {}

    def trace(self, node: nodes.Node) -> Part | None:
        """Return of which parameter an expression is a part, and which."""
        if id(node) not in self._traced:
            self._traced[id(node)] = None  # where it comes to itself, it is no part
            self._traced[id(node)] = self._trace(node)
        return self._traced[id(node)]

    def _trace(self, node: nodes.Node) -> Part | None:  # noqa: PLR0911  one a kind
        if variable := self._names.variable(node):
            return self._variable(node, variable)
        if isinstance(node, nodes.Getattr):
            return self._into(node.node, node.attr)
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Slice):
            return self._into(node.node, _step(node.arg))
        if isinstance(node, nodes.Or):
            return self.trace(node.left) if _is_empty(node.right) else None
        if isinstance(node, nodes.Dict) and len(node.items) == 1:
            part = self.trace(node.items[0].value)
            return part and replace(part, wraps=part.wraps + 1)
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
            return self._method(node, node.node)
        if isinstance(node, nodes.Filter) and node.name in _UNCHANGED and node.node:
            return self.trace(node.node) if all(map(_is_empty, node.args)) else None
        return None

    def _into(self, node: nodes.Node, step: str) -> Part | None:
        part = self.trace(node)
        return part and part.into(step)

    def _method(self, call: nodes.Call, method: nodes.Getattr) -> Part | None:
        if method.attr == "get" and call.args and all(map(_is_empty, call.args[1:])):
            return self._into(method.node, _step(call.args[0]))
        return self.trace(method.node) if method.attr in ("items", "values") else None

    def _variable(self, node: nodes.Node, variable: Variable) -> Part | None:
        """Return what a variable is a part of: a parameter, or what it is once set to."""
        if not variable.macro:
            return None
        if self._names.is_parameter(variable):
            # Set anew in the macro, it would be another value than what the call gave.
            return None if self._names.is_assigned(variable) else Part(variable)
        known = {
            self._setting(setting)
            for setting in self._names.visible(node)
            if not _is_none(setting.value)
        }
        return known.pop() if len(known) == 1 else None

    def _setting(self, setting: Setting) -> Part | None:
        """Return the part that a variable is set to, or that a constant stands for."""
        if setting.loop:
            part = self.trace(setting.value)
            return part and part.into(ANY, id(setting.loop))
        if isinstance(setting.value, nodes.Dict) and _is_flat(setting.value):
            return self._constant(setting.value, setting)
        return self.trace(setting.value)

    def _constant(self, value: nodes.Dict, setting: Setting) -> Part | None:
        """Return the part that a mapping of constants stands for, where that equals a constant."""
        branch = setting.parents[-1]
        if not isinstance(branch, nodes.If) or not is_compared(branch.test):
            return None
        if not any(setting.by is statement for statement in branch.body):
            return None
        # The mapping has no such part itself: the condition does not hold for it again.
        part = self.trace(branch.test.expr)
        keys = {pair.key.as_const() for pair in value.items}
        return part if part and part.steps and part.steps[-1] not in {*keys, ANY} else None


def _step(node: nodes.Node) -> str:
    """Return the step into an item."""
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else ANY


def _is_empty(node: nodes.Node) -> bool:
    """Whether an expression is an empty list or mapping, or nothing."""
    if isinstance(node, nodes.List | nodes.Dict):
        return not node.items
    return isinstance(node, nodes.Const) and not node.value


def _is_flat(node: nodes.Dict) -> bool:
    """Whether a mapping is one of constants."""
    return all(
        isinstance(pair.key, nodes.Const) and isinstance(pair.value, nodes.Const)
        for pair in node.items
    )


def _is_none(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and node.value is None
