"""How large the values of a chat template become, as polynomials of the request's size.

A form is a sum of products: what a value is made of, by the variables in it. The variables are
then put in, each by the most that it is ever set to. One that goes into itself may do so once and
unchanged: it grows by what is added, as often as that happens. Everything else doubles.
"""

from jinja2 import nodes

from qmodel.worker.inspect.templates.forms import ONE, Form, most, plus, times
from qmodel.worker.inspect.templates.names import REQUEST, Names, Setting, arms, called_name
from qmodel.worker.inspect.templates.numbers import is_number
from qmodel.worker.inspect.templates.recursion import Recursion, UnboundedError
from qmodel.worker.inspect.templates.walk import Parents, walk

MAX_POWER = 12
MAX_VARIABLES = 250
"""Published templates have at most 92."""
_LOOSE = 8
"""Characters that one becomes at most when it is escaped, quoted or printed."""
_SAME = frozenset({
    "default", "d", "dictsort", "first", "get", "int", "items", "keys", "last", "list",
    "lstrip", "max", "min", "partition", "pop", "reject", "rejectattr", "removeprefix",
    "removesuffix", "reverse", "rpartition", "rsplit", "rstrip", "safe", "select", "selectattr",
    "sort", "split", "splitlines", "strip", "trim", "unique", "values", "from_json", "string",
    "upper", "lower", "title", "capitalize", "length", "count", "find", "startswith", "endswith",
})  # fmt: skip
"""Methods and filters whose result is no larger than what they are used on, or given."""


class Sizes:
    """The sizes of a template's expressions: characters, items, or the value of a number."""

    def __init__(self, tree: nodes.Template, names: Names, recursion: Recursion) -> None:
        self._names, self._recursion = names, recursion
        self._parts = recursion.parts
        self._calls = recursion.calls
        self._forms: dict[int, tuple[nodes.Node, Form]] = {}
        self._settings: dict[str, list[Setting]] = {}
        self._outer: dict[str, str] = {}
        self._numbers: dict[int, int] = {}
        self._rounds: dict[str, nodes.For] = {}
        self._again: dict[str, nodes.Call] = {}
        self._values: dict[str, Form] = {}
        self._open: set[str] = set()
        if len(names.settings) > MAX_VARIABLES:
            raise UnboundedError(tree, f"has more than {MAX_VARIABLES} variables")
        for node in walk(tree):
            if isinstance(node, nodes.Expr) and not is_name_only(node):
                self.form(node)
        self._reached = self._reach(tree)

    def size(self, node: nodes.Node) -> Form:
        """Return the size of an expression by the request alone; a number is as good as any."""
        return ONE if is_number(node, self._names) else self._closed(self.form(node), node)

    def often(self, node: nodes.Node, parents: Parents) -> Form:
        """Return how often an expression within these nodes runs, by the request alone."""
        return self._closed(self.executions(parents), node)

    def _put_in(self, form: Form, node: nodes.Node) -> Form:
        """Return a form with everything put in but the calls that belong to a recursion."""
        total: Form = {}
        for product, factor in form.items():
            term: Form = {(): factor}
            for variable in product:
                again = variable.startswith("again ")
                term = times(term, {(variable,): 1} if again else self._value(variable, node))
                if any(len(powers) > MAX_POWER for powers in term):
                    message = f"may need more than the size of the request to the {MAX_POWER}"
                    raise UnboundedError(node, message)
            total = plus(total, term)
        return total

    def _closed(self, form: Form, node: nodes.Node) -> Form:
        """Return a form by the request alone."""
        total: Form = {}
        for product, factor in self._put_in(form, node).items():
            names = [f"output {v.split()[1]}" if v.startswith("again ") else v for v in product]
            if names != list(product):
                total = plus(total, self._put_in({tuple(sorted(names)): factor}, node))
            else:
                total = plus(total, {product: factor})
        return total

    def executions(self, parents: Parents) -> Form:
        """Return how often something within these nodes runs."""
        form = ONE
        for parent in parents:
            if isinstance(parent, nodes.For) and id(parent) not in self._recursion.loops:
                form = times(form, self.rounds(parent.iter))
            if isinstance(parent, nodes.Macro):
                form = times(form, {(f"calls {parent.name}",): 1})
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
        variable = self._read(walked)
        if variable and id(walked) not in seen:
            settings = self._settings[variable]
            if settings and not self._outer[variable] and not any(s.loop for s in settings):
                seen |= {id(walked)}
                return most(*(self.rounds(setting.value, seen) for setting in settings))
        return self.form(walked)

    def form(self, node: nodes.Node) -> Form:
        """Return the size of an expression by its variables."""
        if id(node) not in self._forms:
            self._forms[id(node)] = node, self._form(node)
        return self._forms[id(node)][1]

    def _form(self, node: nodes.Node) -> Form:  # noqa: C901, PLR0911  one a kind of expression
        if isinstance(node, nodes.Const | nodes.TemplateData):
            return {(): _constant(node)}
        if variable := self._read(node):
            return {(variable,): 1}
        if isinstance(node, nodes.AssignBlock | nodes.Macro | nodes.FilterBlock):
            return self._written(node.body)
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
        if isinstance(node, nodes.List | nodes.Tuple | nodes.Dict):
            parts = (self.form(part) for part in node.iter_child_nodes())
            return plus(ONE, times({(): 2}, plus(*parts)))
        if isinstance(node, nodes.Call | nodes.Filter):
            return self._result(node)
        return plus(*(self.form(part) for part in node.iter_child_nodes()))

    def _read(self, node: nodes.Node) -> str | None:
        """Return the variable that a node reads, with the settings that it may find."""
        variable = self._names.variable(node)
        if variable is None:
            return None
        return self._version(variable, self._names.visible(node), self._names.behind(node))

    def _version(self, variable: str, settings: list[Setting], outer: str) -> str:
        """Return the variable as far as some settings go; parts of what it is are no news."""
        settings = [s for s in settings if id(s.value) not in self._parts]
        numbers = ",".join(str(self._number(setting)) for setting in settings)
        version = f"{variable}@{numbers}{'+' if outer else ''}"
        if version not in self._settings:
            self._settings[version] = settings
            self._outer[version] = outer
            if outer and outer != REQUEST:
                around = self._names.settings[outer], self._names.outer.get(outer, REQUEST)
                self._outer[version] = self._version(outer, *around)
        return version

    def _number(self, setting: Setting) -> int:
        return self._numbers.setdefault(id(setting), len(self._numbers))

    def _result(  # noqa: PLR0911  one a kind of call
        self, node: nodes.Call | nodes.Filter
    ) -> Form:
        """Return the size of what a call or a filter gives."""
        given = [*node.args, *(keyword.value for keyword in node.kwargs)]
        forms = [self.form(value) for value in given]
        if isinstance(node, nodes.Call) and (macro := self._names.called(node)):
            if self._recursion.again(node):
                self._again[f"again {macro.name} {id(node)}"] = node
                return {(f"again {macro.name} {id(node)}",): 1}
            return {(f"output {macro.name}",): 1}
        if isinstance(node, nodes.Call) and called_name(node):
            return plus(ONE, *forms)
        if isinstance(node, nodes.Filter):
            name, form = node.name, self.form(node.node) if node.node else ONE
        else:
            method = node.node
            name = method.attr if isinstance(method, nodes.Getattr) else ""
            form = self.form(method.node) if isinstance(method, nodes.Getattr) else ONE
        if name == "replace":
            return _replaced(form, given, forms)
        if name in ("join", "indent"):
            return times(form, plus(ONE, *forms))
        if name == "format":
            return plus(form, times(form, plus(*forms)))
        if name in _SAME:
            return most(form, *forms)
        return times({(): _LOOSE}, form)

    def _written(self, block: list[nodes.Node]) -> Form:
        """Return the size of what a block writes."""
        written = ONE
        for node in block:
            if isinstance(node, nodes.Output):
                written = plus(written, *map(self.form, node.nodes))
            elif isinstance(node, nodes.If):
                written = plus(written, most(*map(self._written, arms(node))))
            elif isinstance(node, nodes.For):
                self._rounds[f"rounds {id(node)}"] = node
                form = self._written([*node.body, *node.else_])
                written = plus(written, times(form, {(f"rounds {id(node)}",): 1}))
            elif isinstance(node, nodes.FilterBlock):
                written = plus(written, times({(): _LOOSE}, self._written(node.body)))
            elif isinstance(node, nodes.Scope):
                written = plus(written, self._written(node.body))
        return written

    def _reach(self, tree: nodes.Template) -> dict[str, set[str]]:
        """Return which variables each is made of, over others too."""
        direct = {
            f"output {name}": _variables(self.form(macro))
            for name, macro in self._names.macros.items()
        }
        waiting = list(self._settings)
        while waiting:
            variable = waiting.pop()
            if variable in direct:
                continue
            forms = [self.form(setting.value) for setting in self._settings[variable]]
            direct[variable] = set().union({self._outer[variable]}, *map(_variables, forms))
            waiting += [v for v in direct[variable] if v in self._settings]
        if len(direct) > MAX_VARIABLES:
            raise UnboundedError(tree, f"has more than {MAX_VARIABLES} variables")
        numbers = {variable: 1 << n for n, variable in enumerate(direct)}
        reached = {v: sum(numbers.get(other, 0) for other in made) for v, made in direct.items()}
        for through, number in numbers.items():
            for variable, bits in reached.items():
                if bits & number:
                    reached[variable] = bits | reached[through]
        return {
            v: {other for other, number in numbers.items() if bits & number}
            for v, bits in reached.items()
        }

    def _value(self, variable: str, node: nodes.Node) -> Form:
        """Return the largest that a variable becomes."""
        if variable == REQUEST:
            return {(REQUEST,): 1}
        if variable not in self._values:
            if variable in self._open:
                raise UnboundedError(node, f"makes {_told(variable)} grow by its own size")
            kind, _, name = variable.partition(" ")
            if variable in self._rounds:
                loop = self._rounds[variable]
                walked = id(loop) in self._recursion.loops
                self._values[variable] = (
                    ONE if walked else self._put_in(self.rounds(loop.iter), loop)
                )
            elif kind == "calls":
                self._open.add(variable)
                self._values[variable] = self._called(name)
            elif kind == "output":
                self._open.add(variable)
                self._values[variable] = self._output(name, node)
            else:
                group = {v for v in self._reached.get(variable, set())
                         if variable in self._reached.get(v, set())} | {variable}  # fmt: skip
                self._open |= group
                value = self._most(group, node)
                self._values |= dict.fromkeys(group, value)
                self._open -= group
            self._open.discard(variable)
        return self._values[variable]

    def _most(self, group: set[str], node: nodes.Node) -> Form:
        """Return the largest that variables become that are made of each other."""
        base: Form = ONE
        added: Form = {}
        if any(variable not in self._settings for variable in group):
            told = sorted(map(_told, group & set(self._settings)))
            raise UnboundedError(node, f"makes {told[0]} grow by what a macro writes of it")
        for variable in group:
            outer = self._outer[variable]
            if outer and outer not in group:
                base = most(base, self._value(outer, node))
            for setting in self._settings[variable]:
                form = self.form(setting.value)
                again = {p: f for p, f in form.items() if group & set(p)}
                rest = {p: f for p, f in form.items() if p not in again}
                if sum(again.values()) > 1 or any(len(p) > 1 for p in again):
                    problem = f"puts {_told(variable)} together of itself, which doubles it"
                    raise UnboundedError(setting.value, f"{problem} each time")
                if again and rest:
                    often = self._closed(self.executions(setting.parents), setting.value)
                    added = plus(added, times(self._put_in(rest, setting.value), often))
                elif rest:
                    base = most(base, self._put_in(rest, setting.value))
        total = plus(base, added)
        local = all(
            "/" in v and self._names.is_assigned(v.partition("@")[0]) and "." not in v
            for v in group
        )
        return total if local else self._closed(total, node)

    def _called(self, name: str) -> Form:
        """Return how often a macro is called."""
        group = self._recursion.group(name)
        often: Form = {}
        for call, macro in self._calls:
            if macro.name in group and not self._recursion.again(call):
                often = plus(
                    often, self._closed(self.executions(self._names.parents[id(call)]), call)
                )
        if self._recursion.is_recursive(name):
            often = times(often, {(REQUEST,): 1})
        return often

    def _check_again(self, form: Form, rounds: list[str]) -> None:
        """Check that what comes of a macro's call of itself is written once."""
        for product, factor in form.items():
            call = self._again[next(v for v in product if v in self._again)]
            around = self._names.parents[id(call)]
            loops = all(any(self._rounds[v] is parent for parent in around) for v in rounds)
            if factor > 1 or len(product) > 1 or not loops:
                raise UnboundedError(call, "calls itself and writes several times what it gets")

    def _output(self, name: str, node: nodes.Node) -> Form:
        """Return the size of what a macro writes, with all that it calls."""
        group = self._recursion.group(name)
        own: Form = ONE
        for macro in (self._names.macros[member] for member in group):
            for product, factor in self.form(macro).items():
                rounds = [v for v in product if v in self._rounds]
                rest = tuple(v for v in product if v not in rounds)
                form = self._put_in({rest: factor}, node)
                again = {p: f for p, f in form.items() if any(v in self._again for v in p)}
                self._check_again(again, rounds)
                others = {p: f for p, f in form.items() if p not in again}
                own = plus(own, times(others, self._put_in({tuple(rounds): 1}, node)))
        return times(own, {(REQUEST,): 1}) if self._recursion.is_recursive(name) else own


def is_name_only(node: nodes.Node) -> bool:
    """Whether a node is a name that is set, not read."""
    return isinstance(node, nodes.NSRef) or (isinstance(node, nodes.Name) and node.ctx != "load")


def _constant(node: nodes.Const | nodes.TemplateData) -> float:
    """Return the length of a text, or the value of a number; at least one."""
    value = node.data if isinstance(node, nodes.TemplateData) else node.value
    if isinstance(value, str):
        return max(len(value), 1)
    return max(abs(value), 1) if isinstance(value, int | float) else 1


def _variables(form: Form) -> set[str]:
    """Return the variables of a form, but for the calls that belong to a recursion."""
    return {v for product in form for v in product if not v.startswith("again ")}


def _told(variable: str) -> str:
    """Return how messages call a variable."""
    return repr(variable.partition("@")[0].rpartition("/")[2].partition(" in ")[0][:60])


def _alternatives(node: nodes.CondExpr | nodes.Or | nodes.And) -> list[nodes.Node]:
    """Return the expressions of which one is the value."""
    if isinstance(node, nodes.CondExpr):
        return [part for part in (node.expr1, node.expr2) if part is not None]
    return [node.left, node.right]


def _replaced(form: Form, given: list[nodes.Expr], forms: list[Form]) -> Form:
    """Return the size of a text with one part replaced."""
    old, new, *_ = [value.value if isinstance(value, nodes.Const) else None for value in given]
    if old and isinstance(old, str) and isinstance(new, str):
        return times({(): max(1, -(-len(new) // len(old)))}, form)
    return times(form, plus(ONE, *forms))
