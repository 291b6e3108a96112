"""Macros that call themselves: only to walk the parts of one argument, each part once.

Published templates walk JSON so, a tool's schema or arguments. A walk that goes into each part at
most once makes no more calls than the request has parts; two calls on one part double with each
level.
"""

from collections.abc import Mapping
from itertools import combinations, product
from math import prod

from jinja2 import nodes

from qmodel.worker.inspect.templates.branches import exclusive
from qmodel.worker.inspect.templates.names import Names, Variable, arguments
from qmodel.worker.inspect.templates.parts import ANY, Part, Parts
from qmodel.worker.inspect.templates.problems import UnboundedError
from qmodel.worker.inspect.templates.reach import reach, together
from qmodel.worker.inspect.templates.walk import walk

MAX_CHOICES = 4096
"""Of parameters that could be the walked one, among macros that call each other."""

MacroCall = tuple[nodes.Call, nodes.Macro]
Walked = Mapping[str, Variable]
"""By macro: the parameter whose parts it walks."""


class Recursion:
    """Which macros of a template call themselves, over others too.

    Raises
    ------
    UnboundedError
        If one does so other than by walking an argument.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._trace = Parts(names).trace
        self._reached = reach(self._named())
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
        for call, macro in self._names.macro_calls:
            if within := self._names.macro_of(call):
                named[within.name].add(macro.name)
        return named

    def _check(self, group: set[str]) -> None:
        """Check the calls of macros that call each other, and note what they walk."""
        calls = [(c, m) for c, m in self._names.macro_calls if m.name in group and self.again(c)]
        walked, parts = self._find_walked(group, calls)
        self.parts |= {id(arguments(call, macro)[walked[macro.name].name]) for call, macro in calls}
        self.loops |= set().union(*map(self._walking, walked.values()))
        sites = [(call, part) for (call, _), part in zip(calls, parts, strict=True)]
        for call, part in sites:
            self._check_site(call, part)
        for (one, part), (other, second) in combinations(sites, 2):
            same = self._names.macro_of(one) is self._names.macro_of(other)
            if same and part.overlaps(second) and not exclusive(one, other, self._names):
                raise UnboundedError(other, "calls itself twice on the same part of its argument")

    def _find_walked(self, group: set[str], calls: list[MacroCall]) -> tuple[Walked, list[Part]]:
        """Return the parameter of each macro that is walked, and what part each call goes into."""
        node, macro = calls[0]
        parameters = [
            [Variable(argument.name, name) for argument in self._names.macros[name].args]
            for name in sorted(group)
        ]
        if prod(map(len, parameters)) > MAX_CHOICES:
            raise UnboundedError(node, "has recursion over too many parameters")
        for chosen in product(*parameters):
            walked = {variable.macro: variable for variable in chosen}
            parts = [part for call in calls if (part := self._part(*call, walked))]
            if len(parts) == len(calls):
                return walked, parts
        problem = f"calls {macro.name!r} from within itself other than on parts of one argument"
        raise UnboundedError(node, problem)

    def _part(self, call: nodes.Call, macro: nodes.Macro, walked: Walked) -> Part | None:
        """Return the part of the caller's walked parameter that a call walks; None if none."""
        value = arguments(call, macro).get(walked[macro.name].name)
        within = self._names.macro_of(call)
        part = self._trace(value) if value else None
        if part is None or within is None or part.parameter != walked[within.name]:
            return None
        if isinstance(value, nodes.Filter) and value.name == "items":
            part = part.into(ANY)  # once: pairs have no pairs
        named = part.steps and part.steps[0] != ANY
        if part.wraps and not (named and len(part.steps) > part.wraps):
            return None
        return part if part.steps else None

    def _walking(self, parameter: Variable) -> set[int]:
        """Return the loops of a macro over parts of the walked parameter."""
        found: set[int] = set()
        macro = self._names.macros[parameter.macro]
        for loop in (node for node in walk(macro) if isinstance(node, nodes.For)):
            part = self._trace(loop.iter)
            around = self._loops_around(loop)
            if part and part.parameter == parameter and around <= part.loops:
                found.add(id(loop))
        return found

    def _loops_around(self, node: nodes.Node) -> set[int]:
        return {id(p) for p in self._names.parents[id(node)] if isinstance(p, nodes.For)}

    def _check_site(self, call: nodes.Call, part: Part) -> None:
        if self._loops_around(call) - part.loops:
            raise UnboundedError(call, "calls itself in a loop on the same part of its argument")
        conditions = nodes.If | nodes.For | nodes.CondExpr
        if not any(isinstance(p, conditions) for p in self._names.parents[id(call)]):
            raise UnboundedError(call, "calls itself without a condition")
