"""Macros that call themselves: only to walk the parts of one argument, each part once.

Published templates walk JSON so, a tool's schema or arguments. A walk that goes into each part at
most once makes no more calls than the request has parts; two calls on one part double with each
level.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise, product

from jinja2 import nodes

from qmodel.worker.inspect.templates.names import Names, Setting, arguments
from qmodel.worker.inspect.templates.problems import UnboundedError
from qmodel.worker.inspect.templates.reach import reach, together
from qmodel.worker.inspect.templates.walk import Parents, walk

MAX_CHOICES = 4096
"""Of parameters that could be the walked one, among macros that call each other."""
_UNCHANGED = frozenset({"items", "dictsort", "default", "list"})
"""Filters that give what they are used on, or its pairs."""
_ANY = "*"
"""A step into an item that is not named."""


@dataclass(frozen=True)
class Part:
    """A part of a parameter: the steps into it, and the loops that go over its siblings."""

    parameter: str
    steps: tuple[str, ...] = ()
    loops: frozenset[int] = frozenset()
    wraps: int = 0
    """How often it was put into a mapping again."""

    def into(self, step: str, *loops: int) -> "Part":
        """Return a part of this part."""
        return Part(self.parameter, (*self.steps, step), self.loops | set(loops), self.wraps)


class Recursion:
    """Which macros of a template call themselves, over others too.

    Raises
    ------
    UnboundedError
        If one does so other than by walking an argument.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self.calls = names.macro_calls()
        """All calls of macros."""
        self._reached = reach(self._named())
        self._traced: dict[int, Part | None] = {}
        self.parts: set[int] = set()
        """Identities of the arguments that are parts of the caller's own."""
        self.loops: set[int] = set()
        """Identities of the loops over such parts: they too go over each item once."""
        done: set[str] = set()
        for name in names.macros:
            if self.is_recursive(name) and name not in done:
                done |= self.group(name)
                self._check(self.group(name))

    def is_recursive(self, name: str) -> bool:
        """Whether a macro comes to itself."""
        return name in self._reached[name]

    def group(self, name: str) -> set[str]:
        """Return the macros that a macro comes to, and that come to it."""
        return together(name, self._reached)

    def again(self, call: nodes.Node) -> bool:
        """Whether a call belongs to a recursion, rather than starting one."""
        within, macro = self._names.macro_of(call), self._names.called(call)
        return bool(within and macro and within.name in self._reached[macro.name])

    def _named(self) -> dict[str, set[str]]:
        """Return the macros that each macro calls."""
        named: dict[str, set[str]] = {name: set() for name in self._names.macros}
        for call, macro in self.calls:
            if within := self._names.macro_of(call):
                named[within.name].add(macro.name)
        return named

    def _check(self, group: set[str]) -> None:
        """Find the parameter of each macro that is walked."""
        calls = [(c, m) for c, m in self.calls if m.name in group and self.again(c)]
        choices = [[a.name for a in self._names.macros[name].args] for name in sorted(group)]
        count = 1
        for choice in choices:
            count *= len(choice)
        if count > MAX_CHOICES:
            raise UnboundedError(calls[0][0], "has recursion over too many parameters")
        for chosen in product(*choices):
            walked = dict(zip(sorted(group), chosen, strict=True))
            parts = [self._part(call, macro, walked) for call, macro in calls]
            if all(parts):
                break
        else:
            node, macro = calls[0]
            raise UnboundedError(
                node,
                f"calls {macro.name!r} from within itself other than on parts of one argument",
            )
        self.parts |= {id(arguments(call, macro)[walked[macro.name]]) for call, macro in calls}
        for name, parameter in walked.items():
            self.loops |= self._walking(self._names.macros[name], f"{name}/{parameter}")
        sites = [(call, part) for (call, _), part in zip(calls, parts, strict=True) if part]
        for call, part in sites:
            self._check_site(call, part)
        for (one, part), (other, second) in combinations(sites, 2):
            same = self._names.macro_of(one) is self._names.macro_of(other)
            if same and _overlap(part, second) and not self._exclusive(one, other):
                raise UnboundedError(other, "calls itself twice on the same part of its argument")

    def _walking(self, macro: nodes.Macro, parameter: str) -> set[int]:
        """Return the loops of a macro over parts of the walked parameter."""
        found: set[int] = set()
        for loop in (node for node in walk(macro) if isinstance(node, nodes.For)):
            part = self._trace(loop.iter)
            around = {id(p) for p in self._names.parents[id(loop)] if isinstance(p, nodes.For)}
            if part and part.parameter == parameter and around <= part.loops:
                found.add(id(loop))
        return found

    def _check_site(self, call: nodes.Call, part: Part) -> None:
        parents = self._names.parents[id(call)]
        loops = {id(parent) for parent in parents if isinstance(parent, nodes.For)}
        if loops - part.loops:
            raise UnboundedError(call, "calls itself in a loop on the same part of its argument")
        if not any(isinstance(p, nodes.If | nodes.For | nodes.CondExpr) for p in parents):
            raise UnboundedError(call, "calls itself without a condition")

    def _part(self, call: nodes.Call, macro: nodes.Macro, walked: Mapping[str, str]) -> Part | None:
        """Return the part of the caller's walked parameter that a call walks; None if none."""
        value = arguments(call, macro).get(walked[macro.name])
        within = self._names.macro_of(call)
        if value is None or within is None:
            return None
        part = self._trace(value)
        if isinstance(value, nodes.Filter) and value.name == "items" and part:
            part = part.into(_ANY)  # once: pairs have no pairs
        if part is None or part.parameter != f"{within.name}/{walked[within.name]}":
            return None
        named = part.steps and part.steps[0] != _ANY
        if part.wraps and not (named and len(part.steps) - part.wraps > 0):
            return None
        return part if part.steps else None

    def _trace(self, node: nodes.Node) -> Part | None:
        """Return of which parameter an expression is a part, and which."""
        if id(node) not in self._traced:
            self._traced[id(node)] = None  # where it comes to itself, it is no part
            self._traced[id(node)] = self._trace_new(node)
        return self._traced[id(node)]

    def _trace_new(self, node: nodes.Node) -> Part | None:  # noqa: PLR0911  one a kind
        if variable := self._names.variable(node):
            return self._trace_variable(node, variable)
        if isinstance(node, nodes.Getattr):
            return self._into(node.node, node.attr)
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Slice):
            return self._into(node.node, _key(node.arg))
        if isinstance(node, nodes.Or):
            return self._trace(node.left) if _empty(node.right) else None
        if isinstance(node, nodes.Dict) and len(node.items) == 1:
            part = self._trace(node.items[0].value)
            return part and Part(part.parameter, part.steps, part.loops, part.wraps + 1)
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
            if node.node.attr == "get" and node.args and all(map(_empty, node.args[1:])):
                return self._into(node.node.node, _key(node.args[0]))
            if node.node.attr in ("items", "values"):
                return self._trace(node.node.node)
        if isinstance(node, nodes.Filter) and node.name in _UNCHANGED and node.node:
            return self._trace(node.node) if all(map(_empty, node.args)) else None
        return None

    def _into(self, node: nodes.Node, step: str) -> Part | None:
        part = self._trace(node)
        return part and part.into(step)

    def _trace_variable(self, node: nodes.Node, variable: str) -> Part | None:
        """Return what a variable is a part of: a parameter, or what it is once set to."""
        macro, _, name = variable.partition("/")
        if macro not in self._names.macros:
            return None
        if name in {argument.name for argument in self._names.macros[macro].args}:
            # Set anew in the macro, it would be another value than what the call gave.
            return None if self._names.is_assigned(variable) else Part(variable)
        settings = self._names.visible(node)
        parts = [self._trace_setting(setting) for setting in settings]
        known = {part for part, s in zip(parts, settings, strict=True) if not _nothing(s.value)}
        return known.pop() if len(known) == 1 else None

    def _trace_setting(self, setting: Setting) -> Part | None:
        """Return the part that a variable is set to, or that a constant stands for."""
        if setting.loop:
            part = self._trace(setting.value)
            return part and part.into(_ANY, id(setting.loop))
        if not isinstance(setting.value, nodes.Dict):
            return self._trace(setting.value)
        inner = setting.parents[-1]
        test = inner.test if isinstance(inner, nodes.If) else None
        if not isinstance(test, nodes.Compare) or not _is_flat(setting.value):
            return self._trace(setting.value)
        # It stands for a part that was equal to a constant, and has no such part itself.
        part = self._trace(test.expr) if _equals_constant(test) else None
        keys = {pair.key.as_const() for pair in setting.value.items}
        return part if part and part.steps and part.steps[-1] not in {*keys, _ANY} else None

    def _exclusive(self, one: nodes.Node, other: nodes.Node) -> bool:
        """Whether at most one of two nodes is reached, each time."""
        left, right = (self._names.parents[id(n)] + (n,) for n in (one, other))
        for a, b, c, d in zip(left, right, left[1:], right[1:], strict=False):
            if a is not b:
                break
            if isinstance(a, nodes.If | nodes.CondExpr):
                taken = {_arm(a, c), _arm(a, d)}
                if len(taken) > 1 and 0 not in taken:
                    return True
        told = dict(self._equal(left))
        return any(told.get(what, value) != value for what, value in self._equal(right))

    def _equal(self, parents: Parents) -> list[tuple[str, object]]:
        """Return what is equal to which constant, by the conditions around a node."""
        found: list[tuple[str, object]] = []
        for parent, child in pairwise(parents):
            if (
                isinstance(parent, nodes.If)
                and isinstance(test := parent.test, nodes.Compare)
                and _equals_constant(test)
                and any(child is node for node in parent.body)
                and all(self._set_once(n) for n in walk(test.expr) if isinstance(n, nodes.Name))
            ):
                found.append((repr(test.expr), test.ops[0].expr.as_const()))
        return found

    def _set_once(self, node: nodes.Name) -> bool:
        variable = self._names.variables[id(node)]
        once = not self._names.is_assigned(variable) or len(self._names.settings[variable]) == 1
        return "/" in variable and once


def _arm(branch: nodes.If | nodes.CondExpr, child: nodes.Node) -> int:
    """Return which alternative of a condition a node stands in; 0 for the condition itself."""
    arms: list[list[nodes.Node]]
    if isinstance(branch, nodes.CondExpr):
        arms = [[branch.expr1], [branch.expr2] if branch.expr2 else []]
    else:
        arms = [branch.body, *([other] for other in list[nodes.Node](branch.elif_)), branch.else_]
    found = (n for n, arm in enumerate(arms, 1) if any(child is node for node in arm))
    return next(found, 0)


def _overlap(one: Part, other: Part) -> bool:
    """Whether one part may be the other, or lie in it."""
    steps = zip(one.steps, other.steps, strict=False)
    return all(a == b or _ANY in (a, b) for a, b in steps)


def _key(node: nodes.Node) -> str:
    """Return the step into an item."""
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else _ANY


def _empty(node: nodes.Node) -> bool:
    """Whether an expression is an empty list or mapping, or nothing."""
    if isinstance(node, nodes.List | nodes.Dict):
        return not node.items
    return isinstance(node, nodes.Const) and not node.value


def _nothing(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and node.value is None


def _is_flat(node: nodes.Dict) -> bool:
    """Whether a mapping is one of constants."""
    return all(
        isinstance(pair.key, nodes.Const) and isinstance(pair.value, nodes.Const)
        for pair in node.items
    )


def _equals_constant(test: nodes.Compare) -> bool:
    first = test.ops[0]
    return len(test.ops) == 1 and first.op == "eq" and isinstance(first.expr, nodes.Const)
