"""What the expressions of a chat template are made of: forms of its variables, macros and loops."""

from itertools import count

from jinja2 import nodes

from qmodel.worker.inspect.templates.forms import ONE, Form, Symbol, most, plus, times
from qmodel.worker.inspect.templates.names import (
    REQUEST,
    Names,
    Setting,
    Variable,
    arms,
    called_name,
)
from qmodel.worker.inspect.templates.recursion import Recursion
from qmodel.worker.inspect.templates.results import LOOSE, result
from qmodel.worker.inspect.templates.symbols import (
    REQUEST_SIZE,
    Again,
    Calls,
    Output,
    Rounds,
    Version,
)
from qmodel.worker.inspect.templates.walk import Parents


class Reader:
    """Reads expressions into forms: characters, items, or the value of a number.

    Parameters
    ----------
    names
        The variables of the template.
    recursion
        Its macros that call themselves.
    """

    def __init__(self, names: Names, recursion: Recursion) -> None:
        self._names, self._recursion = names, recursion
        self._numbers = count(REQUEST_SIZE.number + 1)
        self._forms: dict[int, Form] = {}
        self._versions: dict[tuple[Variable, tuple[int, ...], bool], Version] = {}
        self.calls = {name: Calls(next(self._numbers), name) for name in names.macros}
        self.outputs = {name: Output(next(self._numbers), name) for name in names.macros}

    @property
    def versions(self) -> list[Version]:
        """The variables of all that has been read."""
        return list(self._versions.values())

    def form(self, node: nodes.Node) -> Form:
        """Return the size of an expression, or of what a macro or a captured block writes."""
        if id(node) not in self._forms:
            self._forms[id(node)] = self._form(node)
        return self._forms[id(node)]

    def executions(self, parents: Parents) -> Form:
        """Return how often something within these nodes runs."""
        form = ONE
        for parent in parents:
            if isinstance(parent, nodes.For) and id(parent) not in self._recursion.loops:
                form = times(form, self.rounds(parent.iter))
            if isinstance(parent, nodes.Macro):
                form = times(form, {(self.calls[parent.name],): 1})
        return form

    def rounds(self, walked: nodes.Node, seen: frozenset[int] = frozenset()) -> Form:
        """Return how often a loop runs; over a list that is written out, once for each item."""
        if isinstance(walked, nodes.List | nodes.Tuple | nodes.Dict):
            return {(): max(len(walked.items), 1)}
        if (
            isinstance(walked, nodes.Filter)
            and walked.name in ("dictsort", "items")
            and walked.node
        ):
            return self.rounds(walked.node, seen)
        version = self._version_of(walked)
        if version and version.settings and not version.outer and id(walked) not in seen:
            values = [setting.value for setting in version.settings if not setting.loop]
            if len(values) == len(version.settings):
                return most(*(self.rounds(value, seen | {id(walked)}) for value in values))
        return self.form(walked)

    def _form(self, node: nodes.Node) -> Form:
        if isinstance(node, nodes.Const | nodes.TemplateData):
            return {(): _constant(node)}
        if version := self._version_of(node):
            return {(version,): 1}
        if isinstance(node, nodes.AssignBlock | nodes.Macro):
            return self._written(node.body)
        if isinstance(node, nodes.Call):
            return self._called(node)
        if isinstance(node, nodes.Filter):
            return self._result(node, node.name, node.node)
        return self._operation(node)

    def _version_of(self, node: nodes.Node) -> Version | None:
        """Return the variable that a node reads, with the settings that it may find."""
        variable = self._names.variable(node)
        if variable is None:
            return None
        return self._version(variable, self._names.visible(node), self._names.behind(node))

    def _version(
        self, variable: Variable, settings: list[Setting], outer: Variable | None
    ) -> Version:
        """Return the variable as far as some settings go; parts of what it is are no news."""
        settings = [s for s in settings if id(s.value) not in self._recursion.parts]
        key = variable, tuple(map(id, settings)), bool(outer)
        if key not in self._versions:
            size = self._outer(outer) if outer else None
            self._versions[key] = Version(next(self._numbers), variable, settings, size)
        return self._versions[key]

    def _outer(self, variable: Variable) -> Symbol:
        """Return what a variable stands for where another one of its name is not set."""
        if variable == REQUEST:
            return REQUEST_SIZE
        settings = self._names.settings.get(variable, [])
        return self._version(variable, settings, self._names.outer.get(variable, REQUEST))

    def _called(self, node: nodes.Call) -> Form:
        """Return the size of what a macro, a function or a method gives."""
        if macro := self._names.called(node):
            if self._recursion.again(node):
                return {(Again(next(self._numbers), macro.name, node),): 1}
            return {(self.outputs[macro.name],): 1}
        if called_name(node):
            return plus(ONE, *map(self.form, _given(node)))
        if isinstance(node.node, nodes.Getattr):
            return self._result(node, node.node.attr, node.node.node)
        return self._result(node, "", None)

    def _result(self, node: nodes.Call | nodes.Filter, name: str, on: nodes.Expr | None) -> Form:
        """Return the size of what a method or filter gives that is used on something."""
        given = _given(node)
        return result(name, self.form(on) if on else ONE, given, list(map(self.form, given)))

    def _operation(self, node: nodes.Node) -> Form:
        """Return the size of an expression by those of its parts."""
        if isinstance(node, nodes.CondExpr | nodes.Or | nodes.And):
            return most(*map(self.form, _alternatives(node)))
        if isinstance(node, nodes.Not | nodes.Compare | nodes.Test):
            return ONE
        if isinstance(node, nodes.Getattr | nodes.Getitem | nodes.UnaryExpr):
            return self.form(node.node)
        if isinstance(node, nodes.Mul):
            return times(self.form(node.left), self.form(node.right))
        if isinstance(node, nodes.Div | nodes.FloorDiv | nodes.Mod):
            return self.form(node.left)
        parts = plus(*map(self.form, node.iter_child_nodes()))
        made = isinstance(node, nodes.List | nodes.Tuple | nodes.Dict)
        return plus(ONE, times({(): 2}, parts)) if made else parts

    def _written(self, block: list[nodes.Node]) -> Form:
        """Return the size of what a block writes."""
        return plus(ONE, *map(self._statement, block))

    def _statement(self, node: nodes.Node) -> Form:
        """Return the size of what a statement writes."""
        if isinstance(node, nodes.Output):
            return plus(*map(self.form, node.nodes))
        if isinstance(node, nodes.If):
            return most(*map(self._written, arms(node)))
        if isinstance(node, nodes.For):
            rounds: Form = {(Rounds(next(self._numbers), node),): 1}
            return times(self._written([*node.body, *node.else_]), rounds)
        if isinstance(node, nodes.FilterBlock):
            return times(LOOSE, self._written(node.body))
        return self._written(node.body) if isinstance(node, nodes.Scope) else {}


def _constant(node: nodes.Const | nodes.TemplateData) -> float:
    """Return the length of a text, or the value of a number; at least one."""
    value = node.data if isinstance(node, nodes.TemplateData) else node.value
    if isinstance(value, str):
        return max(len(value), 1)
    return max(abs(value), 1) if isinstance(value, int | float) else 1


def _given(node: nodes.Call | nodes.Filter) -> list[nodes.Expr]:
    return [*node.args, *(keyword.value for keyword in node.kwargs)]


def _alternatives(node: nodes.CondExpr | nodes.Or | nodes.And) -> list[nodes.Node]:
    """Return the expressions of which one is the value."""
    if isinstance(node, nodes.CondExpr):
        return [part for part in (node.expr1, node.expr2) if part is not None]
    return [node.left, node.right]
