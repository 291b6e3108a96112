"""What the names of a chat template stand for, and what each is ever set to.

Jinja forgets at the end of a round what a loop set, llama.cpp at the end of the loop: here a
variable keeps it for the next round, unless each round sets it anew before. A name that may be
read before it is set keeps what lies behind it: the outer name, or the request.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from jinja2 import nodes

from qmodel.worker.inspect.templates.walk import Parents


class Variable(NamedTuple):
    """A variable, or an attribute of a namespace."""

    name: str
    macro: str = ""
    """The macro that it belongs to; empty where it belongs to the template."""
    loop: int = 0
    """Identity of the loop that sets it for each round; 0 where none does."""
    attribute: str = ""


_BLOCKS = (
    nodes.For, nodes.Macro, nodes.Scope, nodes.FilterBlock, nodes.AssignBlock, nodes.Template,
)  # fmt: skip
REQUEST = Variable("the request")
"""What a variable of the template stands for where the template does not set it."""


@dataclass(frozen=True)
class Setting:
    """One place that sets a variable."""

    value: nodes.Node
    """An expression; of a loop's variable what is walked, of a captured block the block."""
    parents: Parents
    by: nodes.Node
    """The statement or call that sets it."""

    @property
    def loop(self) -> nodes.For | None:
        """The loop whose variable is set to each item of the value."""
        return self.by if isinstance(self.by, nodes.For) else None


@dataclass
class Names:
    """The variables of a template and their settings."""

    order: dict[int, int]
    """By the identity of a node: its place in the text."""
    parents: dict[int, Parents]
    calls: list[nodes.Call]
    macros: dict[str, nodes.Macro]
    variables: dict[int, Variable] = field(default_factory=dict)
    """By the identity of the node that names one."""
    settings: dict[Variable, list[Setting]] = field(default_factory=dict)
    outer: dict[Variable, Variable | None] = field(default_factory=dict)
    """What a variable is before it is set; None where it is always set first."""
    namespaces: dict[Variable, Variable] = field(default_factory=dict)
    """Variables that hold namespaces, and one name for those that may hold the same."""
    _visible: dict[int, list[Setting]] = field(default_factory=dict)

    @cached_property
    def callable(self) -> set[str]:
        """Names of macros, and names that are called."""
        return {*self.macros, *filter(None, map(called_name, self.calls))}

    @cached_property
    def macro_calls(self) -> list[tuple[nodes.Call, nodes.Macro]]:
        """All calls of macros."""
        return [(call, macro) for call in self.calls if (macro := self.called(call))]

    def variable(self, node: nodes.Node) -> Variable | None:
        """Return the variable that a node reads or sets; None if it is none."""
        if isinstance(node, nodes.Name):
            return self.variables.get(id(node))
        if isinstance(node, nodes.NSRef):
            return self._attribute(self._held(node), node.attr)
        if isinstance(node, nodes.Getattr):
            return self._attribute(self.variable(node.node), node.attr)
        return None

    def visible(self, node: nodes.Node) -> list[Setting]:
        """Return the settings that the reader of a variable may find."""
        if id(node) not in self._visible:
            self._visible[id(node)] = self._find_visible(node)
        return self._visible[id(node)]

    def behind(self, node: nodes.Node) -> Variable | None:
        """Return what a reader finds where a variable is not set: the outer name, or nothing."""
        variable = self.variable(node)
        outer = self.outer.get(variable) if variable else None
        if variable is None or outer is None or not self._is_own(node, variable):
            return outer
        return None if any(is_set for _, is_set in self._blocks(node, variable)) else outer

    def macro_of(self, node: nodes.Node) -> nodes.Macro | None:
        """Return the macro that a node stands in."""
        return innermost_macro(self.parents[id(node)])

    def called(self, node: nodes.Node) -> nodes.Macro | None:
        """Return the macro that a node calls."""
        name = called_name(node)
        return self.macros.get(name) if name else None

    def is_parameter(self, variable: Variable) -> bool:
        """Whether a call gives a variable to a macro."""
        macro = self.macros.get(variable.macro)
        names = {argument.name for argument in macro.args} if macro else set()
        return variable.name in names and not variable.loop and not variable.attribute

    def is_assigned(self, variable: Variable) -> bool:
        """Whether statements set a variable; a parameter that they do not stays what it is."""
        settings = self.settings.get(variable, [])
        return any(not isinstance(s.by, nodes.Call | nodes.Macro) for s in settings)

    def _attribute(self, variable: Variable | None, name: str) -> Variable | None:
        """Return an attribute of the namespace that a variable holds; None if it holds none."""
        held = self.namespaces.get(variable) if variable else None
        return held and held._replace(attribute=name)

    def _held(self, node: nodes.NSRef) -> Variable:
        """Return the variable whose attribute a statement sets."""
        macro = self.macro_of(node)
        own = Variable(node.name, macro.name if macro else "")
        return own if own in self.outer else Variable(node.name)

    def _find_visible(self, node: nodes.Node) -> list[Setting]:
        variable = self.variable(node)
        settings = self.settings.get(variable, []) if variable else []
        if variable is None or not self._is_own(node, variable):
            return settings
        carrying = self._carrying(node, variable)
        return [s for s in settings if self._before(s, node) or carrying & set(map(id, s.parents))]

    def _is_own(self, node: nodes.Node, variable: Variable) -> bool:
        """Whether what is read belongs to what is being run: the macro, or the template."""
        return isinstance(node, nodes.Name) and bool(variable.macro) == bool(self.macro_of(node))

    def _before(self, setting: Setting, node: nodes.Node) -> bool:
        if isinstance(setting.by, nodes.Call | nodes.Macro):
            return True
        earlier = self.order[id(setting.by)] < self.order[id(node)]
        inside = any(setting.by is parent for parent in self.parents[id(node)])
        return earlier and (setting.loop is not None or not inside)

    def _blocks(self, node: nodes.Node, variable: Variable) -> Iterable[tuple[nodes.Node, bool]]:
        """Yield the statements around a reader, and whether they have set a variable before it."""
        inner = (*self.parents[id(node)], node)
        for parent, child in zip(reversed(inner[:-1]), reversed(inner), strict=False):
            block = next((arm for arm in arms(parent) if any(n is child for n in arm)), [])
            earlier = block[: next((i for i, n in enumerate(block) if n is child), 0)]
            yield parent, variable.loop == id(parent) or self._sets_always(earlier, variable)
            if isinstance(parent, nodes.Macro):
                break

    def _carrying(self, node: nodes.Node, variable: Variable) -> set[int]:
        """Return the loops around a reader in which it may find what an earlier round set."""
        carrying: set[int] = set()
        for parent, is_set in self._blocks(node, variable):
            if is_set:
                break
            if isinstance(parent, nodes.For):
                carrying.add(id(parent))
        return carrying

    def _sets_always(self, block: list[nodes.Node], variable: Variable) -> bool:
        """Whether a block sets a variable, whatever happens."""
        for node in block:
            if isinstance(node, nodes.Assign | nodes.AssignBlock):
                if self.variable(node.target) == variable:
                    return True
            elif isinstance(node, nodes.If) and all(
                self._sets_always(arm, variable) for arm in arms(node)
            ):
                return True
        return False


def arms(node: nodes.Node) -> list[list[nodes.Node]]:
    """Return the blocks of a statement; of a condition those of which one is run."""
    if isinstance(node, nodes.If):
        return [node.body, *(other.body for other in node.elif_), node.else_]
    return [node.body] if isinstance(node, _BLOCKS) else []


def innermost_macro(parents: Parents) -> nodes.Macro | None:
    """Return the macro that something within these nodes belongs to."""
    return next((p for p in reversed(parents) if isinstance(p, nodes.Macro)), None)


def called_name(node: nodes.Node) -> str | None:
    """Return the name that a node calls."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        return node.node.name
    return None


def arguments(call: nodes.Call, macro: nodes.Macro) -> dict[str, nodes.Expr]:
    """Return by parameter what a call gives a macro."""
    given = {name.name: value for name, value in zip(macro.args, call.args, strict=False)}
    return given | {keyword.key: keyword.value for keyword in call.kwargs}
