"""What the names of a chat template stand for, and what each is ever set to.

Jinja forgets at the end of a round what a loop set, llama.cpp at the end of the loop: here a
variable keeps it for the next round, unless each round sets it anew before. A name that may be
read before it is set keeps what lies behind it: the outer name, or the request.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from jinja2 import nodes

from qmodel.worker.inspect.templates.walk import Parents, walk, walk_with_parents

REQUEST = "the request"
"""A variable that stands for the size of the request."""


BLOCKS = (nodes.For, nodes.Macro, nodes.Scope, nodes.FilterBlock, nodes.AssignBlock, nodes.Template)


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

    order: dict[int, int] = field(default_factory=dict)
    """By the identity of a node: its place in the text."""
    parents: dict[int, Parents] = field(default_factory=dict)
    calls: list[nodes.Call] = field(default_factory=list)
    macros: dict[str, nodes.Macro] = field(default_factory=dict)
    variables: dict[int, str] = field(default_factory=dict)
    """By the identity of the node that names one."""
    settings: dict[str, list[Setting]] = field(default_factory=lambda: defaultdict(list))
    outer: dict[str, str] = field(default_factory=dict)
    """What a variable is before it is set; empty where it is always set first."""
    namespaces: dict[str, str] = field(default_factory=dict)
    """Variables that hold namespaces, and one name for those that may hold the same."""

    @cached_property
    def callable(self) -> set[str]:
        """Names of macros, and names that are called."""
        return {*self.macros, *filter(None, map(called_name, self.calls))}

    def variable(self, node: nodes.Node) -> str | None:
        """Return the variable that a node reads or sets; None if it is none."""
        if isinstance(node, nodes.Name):
            return self.variables.get(id(node))
        if isinstance(node, nodes.NSRef):
            held = self.namespaces.get(self._held(node))
            return f"{held}.{node.attr}" if held else None
        if isinstance(node, nodes.Getattr):
            held = self.namespaces.get(self.variable(node.node) or "")
            return f"{held}.{node.attr}" if held else None
        return None

    def visible(self, node: nodes.Node) -> list[Setting]:
        """Return the settings that the reader of a variable may find."""
        settings = self.settings[self.variable(node) or ""]
        variable = self.variables.get(id(node))
        if variable is None or not self._is_own(node, variable):
            return settings
        carrying = self._carrying(node, variable)
        return [s for s in settings if self._before(s, node) or carrying & set(map(id, s.parents))]

    def behind(self, node: nodes.Node) -> str:
        """Return what a reader finds where a variable is not set: the outer name, or nothing."""
        variable = self.variable(node) or ""
        outer = self.outer.get(variable, "")
        own = outer and isinstance(node, nodes.Name) and self._is_own(node, variable)
        return "" if own and any(is_set for _, is_set in self._blocks(node, variable)) else outer

    def macro_of(self, node: nodes.Node) -> nodes.Macro | None:
        """Return the macro that a node stands in."""
        return _macro(self.parents[id(node)])

    def called(self, node: nodes.Node) -> nodes.Macro | None:
        """Return the macro that a node calls."""
        name = called_name(node)
        return self.macros.get(name) if name else None

    def macro_calls(self) -> list[tuple[nodes.Call, nodes.Macro]]:
        """Return all calls of macros."""
        return [(call, macro) for call in self.calls if (macro := self.called(call))]

    def is_assigned(self, variable: str) -> bool:
        """Whether statements set a variable; a parameter that they do not stays what it is."""
        return any(not isinstance(s.by, nodes.Call | nodes.Macro) for s in self.settings[variable])

    def _held(self, node: nodes.NSRef) -> str:
        """Return the variable whose attribute a statement sets."""
        macro = self.macro_of(node)
        own = f"{macro.name}/{node.name}" if macro else ""
        return own if own in self.outer else node.name

    def _is_own(self, node: nodes.Node, variable: str) -> bool:
        """Whether what is read belongs to what is being run: the macro, or the template."""
        return ("/" in variable) == bool(self.macro_of(node))

    def _before(self, setting: Setting, node: nodes.Node) -> bool:
        if isinstance(setting.by, nodes.Call | nodes.Macro):
            return True
        earlier = self.order[id(setting.by)] < self.order[id(node)]
        inside = any(setting.by is parent for parent in self.parents[id(node)])
        return earlier and (setting.loop is not None or not inside)

    def _blocks(self, node: nodes.Node, variable: str) -> Iterable[tuple[nodes.Node, bool]]:
        """Yield the statements around a reader, and whether they have set a variable before it."""
        inner = (*self.parents[id(node)], node)
        for parent, child in zip(reversed(inner[:-1]), reversed(inner), strict=False):
            block = next((arm for arm in arms(parent) if any(n is child for n in arm)), [])
            earlier = block[: next((i for i, n in enumerate(block) if n is child), 0)]
            bound = isinstance(parent, nodes.For) and variable.endswith(f" in {id(parent)}")
            yield parent, bound or self._sets_always(earlier, variable)
            if isinstance(parent, nodes.Macro):
                break

    def _carrying(self, node: nodes.Node, variable: str) -> set[int]:
        """Return the loops around a reader in which it may find what an earlier round set."""
        carrying: set[int] = set()
        for parent, is_set in self._blocks(node, variable):
            if is_set:
                break
            if isinstance(parent, nodes.For):
                carrying.add(id(parent))
        return carrying

    def _sets_always(self, block: list[nodes.Node], variable: str) -> bool:
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
    return [node.body] if isinstance(node, BLOCKS) else []


def called_name(node: nodes.Node) -> str | None:
    """Return the name that a node calls."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        return node.node.name
    return None


def arguments(call: nodes.Call, macro: nodes.Macro) -> dict[str, nodes.Expr]:
    """Return by parameter what a call gives a macro."""
    given = {name.name: value for name, value in zip(macro.args, call.args, strict=False)}
    return given | {keyword.key: keyword.value for keyword in call.kwargs}


def name_all(tree: nodes.Template) -> Names:
    """Return the variables of a template."""
    found = list(walk_with_parents(tree))
    names = Names(
        order={id(node): place for place, (node, _) in enumerate(found)},
        parents={id(node): parents for node, parents in found},
        calls=[node for node, _ in found if isinstance(node, nodes.Call)],
        macros={node.name: node for node, _ in found if isinstance(node, nodes.Macro)},
    )
    own = {
        name: {n.name for n in walk(macro) if isinstance(n, nodes.Name) and n.ctx != "load"}
        for name, macro in names.macros.items()
    }
    for node, parents in found:
        if isinstance(node, nodes.Name):
            names.variables[id(node)] = _variable(node, parents, own)
            _keep_outer(names, node, parents)
    _find_namespaces(names, [n for n, _ in found if isinstance(n, nodes.Assign)])
    for node, parents in found:
        for target, value in _sets(names, node):
            names.settings[target].append(Setting(value, parents, node))
    return names


def _macro(parents: Parents) -> nodes.Macro | None:
    return next((p for p in reversed(parents) if isinstance(p, nodes.Macro)), None)


def _variable(node: nodes.Name, parents: Parents, own: Mapping[str, set[str]]) -> str:
    """Return the variable of a name: of a loop, of a macro, or of all."""
    macro = _macro(parents)
    place = f"{macro.name}/" if macro else ""
    inner = (*parents, node)
    for parent, child in zip(reversed(parents), reversed(inner), strict=False):
        if parent is macro:
            break
        if isinstance(parent, nodes.For) and child is not parent.iter:
            bound = {n.name for n in walk(parent.target) if isinstance(n, nodes.Name)}
            if node.name in bound | {"loop"}:
                return f"{place}{node.name} in {id(parent)}"
    return f"{place}{node.name}" if macro and node.name in own[macro.name] else node.name


def _keep_outer(names: Names, node: nodes.Name, parents: Parents) -> None:
    """Note what lies behind a variable when it is met first."""
    variable = names.variables[id(node)]
    if variable not in names.outer:
        behind = node.name if "/" in variable else REQUEST
        bound = " in " in variable or _always_set(node, parents)
        names.outer[variable] = "" if bound else behind


def _always_set(node: nodes.Name, parents: Parents) -> bool:
    """Whether the first place that names a variable sets it, whatever happens."""
    if node.ctx == "param":
        return True
    *around, setter = parents
    within = [p for p in around if not isinstance(p, nodes.Template | nodes.Macro | nodes.Scope)]
    if within or not isinstance(setter, nodes.Assign | nodes.AssignBlock):
        return False
    named = [n for n in walk(setter) if isinstance(n, nodes.Name) and n.name == node.name]
    return setter.target is node and len(named) == 1


def _sets(names: Names, node: nodes.Node) -> Iterable[tuple[str, nodes.Node]]:
    """Yield the variables that a node sets, and what to."""
    if isinstance(node, nodes.Assign | nodes.AssignBlock | nodes.For):
        value = node.iter if isinstance(node, nodes.For) else node
        value = node.node if isinstance(node, nodes.Assign) else value
        yield from ((v, value) for target in walk(node.target) if (v := names.variable(target)))
    if isinstance(node, nodes.For):
        place = "".join(f"{m.name}/" for m in [names.macro_of(node)] if m)
        yield f"{place}loop in {id(node)}", node.iter
    if isinstance(node, nodes.Assign) and isinstance(made := node.node, nodes.Call):
        held = names.namespaces.get(names.variable(node.target) or "")
        yield from ((f"{held}.{keyword.key}", keyword.value) for keyword in made.kwargs if held)
    if isinstance(node, nodes.Macro):
        given = zip(reversed(node.args), reversed(node.defaults), strict=False)
        yield from ((f"{node.name}/{name.name}", value) for name, value in given)
    if isinstance(node, nodes.Call) and (macro := names.called(node)):
        taken = arguments(node, macro).items()
        yield from ((f"{macro.name}/{name}", value) for name, value in taken)
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        variable = names.variable(node.node.node)
        if variable and node.node.attr == "append":
            yield from ((variable, _sum(node, node.node.node, value)) for value in node.args)


def _sum(call: nodes.Call, held: nodes.Expr, added: nodes.Expr) -> nodes.Add:
    """Return what a list is after a call has added to it."""
    return nodes.Add(held, added, lineno=call.lineno)


def _find_namespaces(names: Names, assigned: list[nodes.Assign]) -> None:
    """Note the variables that are set to namespaces, and the parameters that are given them."""
    for node in assigned:
        if called_name(node.node) == "namespace" and (variable := names.variable(node.target)):
            names.namespaces[variable] = variable
    given = [
        (names.variable(value), f"{macro.name}/{name}")
        for call, macro in names.macro_calls()
        for name, value in arguments(call, macro).items()
    ]
    for _ in range(2 * len(names.macros)):
        for value, parameter in given:
            if value in names.namespaces:
                held = names.namespaces[value]
                other = names.namespaces.setdefault(parameter, held)
                for variable, known in names.namespaces.items():
                    names.namespaces[variable] = held if known == other else known
