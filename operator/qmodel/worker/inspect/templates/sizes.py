"""How large the values of a chat template become, as polynomials of the request's size.

The variables, macros and loops that an expression is made of are put in, each by the most that it
ever becomes. A variable that goes into itself may do so once and unchanged: it grows by what is
added, as often as that happens. Everything else doubles.
"""

from collections.abc import Iterable

from jinja2 import nodes

from qmodel.worker.inspect.templates.forms import ONE, Form, Product, Symbol, most, plus, times
from qmodel.worker.inspect.templates.names import Names, Setting
from qmodel.worker.inspect.templates.numbers import is_number
from qmodel.worker.inspect.templates.problems import UnboundedError
from qmodel.worker.inspect.templates.reach import reach, together
from qmodel.worker.inspect.templates.reading import Reader
from qmodel.worker.inspect.templates.recursion import Recursion
from qmodel.worker.inspect.templates.symbols import (
    REQUEST_SIZE,
    Again,
    Calls,
    Output,
    Rounds,
    Version,
)
from qmodel.worker.inspect.templates.walk import Parents, expressions

MAX_POWER = 12
MAX_VARIABLES = 250
"""Published templates have at most 92."""
_REQUEST: Form = {(REQUEST_SIZE,): 1}


class Sizes:
    """The sizes of a template's expressions by the request alone.

    Raises
    ------
    UnboundedError
        If there are too many variables, or later, if one grows without bound.
    """

    def __init__(self, tree: nodes.Template, names: Names, recursion: Recursion) -> None:
        self._names, self._recursion = names, recursion
        self._reader = Reader(names, recursion)
        self._values: dict[Symbol, Form] = {REQUEST_SIZE: _REQUEST}
        self._open: set[Symbol] = set()
        too_many = UnboundedError(tree, f"has more than {MAX_VARIABLES} variables")
        if len(names.settings) > MAX_VARIABLES:
            raise too_many
        for node, _ in expressions(tree):
            self._reader.form(node)
        made = self._made()
        if len(made) > MAX_VARIABLES:
            raise too_many
        self._reached = reach(made)

    def size(self, node: nodes.Node) -> Form:
        """Return the size of an expression by the request alone; a number is as good as any."""
        return ONE if is_number(node, self._names) else self._closed(self._reader.form(node), node)

    def often(self, node: nodes.Node, parents: Parents) -> Form:
        """Return how often an expression within these nodes runs, by the request alone."""
        return self._closed(self._reader.executions(parents), node)

    def _made(self) -> dict[Symbol, set[Symbol]]:
        """Return what variables, and what macros write, are made of."""
        form = self._reader.form
        made: dict[Symbol, set[Symbol]] = {
            output: set().union(*form(self._names.macros[name]))
            for name, output in self._reader.outputs.items()
        }
        for version in self._reader.versions:
            forms = [form(setting.value) for setting in version.settings]
            outer = {version.outer} if version.outer else set()
            made[version] = outer.union(*(product for found in forms for product in found))
        return made

    def _put_in(self, form: Form, node: nodes.Node) -> Form:
        """Return a form with everything put in but the calls that belong to a recursion."""
        terms: list[Form] = []
        for product, factor in form.items():
            term: Form = {(): factor}
            for symbol in product:
                kept = isinstance(symbol, Again)
                term = times(term, {(symbol,): 1} if kept else self._value(symbol, node))
                if any(len(powers) > MAX_POWER for powers in term):
                    message = f"may need more than the size of the request to the {MAX_POWER}"
                    raise UnboundedError(node, message)
            terms.append(term)
        return plus(*terms)

    def _closed(self, form: Form, node: nodes.Node) -> Form:
        """Return a form with everything put in: a call of a recursion gives what all of it does."""
        form = self._put_in(form, node)
        if not any(isinstance(symbol, Again) for product in form for symbol in product):
            return form
        return self._put_in(plus(*({self._outputs(p): factor} for p, factor in form.items())), node)

    def _outputs(self, product: Product) -> Product:
        outputs = self._reader.outputs
        return tuple(outputs[s.macro] if isinstance(s, Again) else s for s in product)

    def _value(self, symbol: Symbol, node: nodes.Node) -> Form:
        """Return the largest that something becomes."""
        if symbol in self._values:
            return self._values[symbol]
        group = self._begin(symbol, node)
        if isinstance(symbol, Rounds):
            value = self._rounds(symbol.loop)
        elif isinstance(symbol, Calls):
            value = self._called(symbol.macro)
        elif isinstance(symbol, Output):
            value = self._output(symbol.macro, node)
        else:
            value = self._most(group, node)
        self._open -= group
        self._values |= dict.fromkeys(group, value)
        return value

    def _begin(self, symbol: Symbol, node: nodes.Node) -> set[Symbol]:
        """Return what gets its value with something, and may not be needed to find it."""
        if symbol in self._open:
            raise UnboundedError(node, f"makes {symbol} grow by its own size")
        if isinstance(symbol, Rounds):
            return {symbol}  # what is walked tells more, where it needs itself
        group = together(symbol, self._reached) if isinstance(symbol, Version) else {symbol}
        self._open |= group
        return group

    def _rounds(self, loop: nodes.For) -> Form:
        """Return how often a loop runs; one that walks what a recursion does goes on with it."""
        if id(loop) in self._recursion.loops:
            return ONE
        return self._put_in(self._reader.rounds(loop.iter), loop)

    def _most(self, group: set[Symbol], node: nodes.Node) -> Form:
        """Return the largest that variables become that are made of each other."""
        versions = sorted(
            (symbol for symbol in group if isinstance(symbol, Version)), key=lambda v: v.number
        )
        if len(versions) < len(group):
            told = min(map(str, versions))
            raise UnboundedError(node, f"makes {told} grow by what a macro writes of it")
        base: Form = ONE
        added: Form = {}
        for version in versions:
            if version.outer and version.outer not in group:
                base = most(base, self._value(version.outer, node))
            for setting in version.settings:
                again, rest = self._parted(version, setting, group)
                if again and rest:
                    often = self._closed(self._reader.executions(setting.parents), setting.value)
                    added = plus(added, times(self._put_in(rest, setting.value), often))
                elif rest:
                    base = most(base, self._put_in(rest, setting.value))
        total = plus(base, added)
        return total if all(map(self._is_local, versions)) else self._closed(total, node)

    def _parted(self, version: Version, setting: Setting, group: set[Symbol]) -> tuple[Form, Form]:
        """Return what is put in of the variables themselves, and what of others."""
        form = self._reader.form(setting.value)
        again = {product: factor for product, factor in form.items() if group & {*product}}
        if sum(again.values()) > 1 or any(len(product) > 1 for product in again):
            problem = f"puts {version} together of itself, which doubles it each time"
            raise UnboundedError(setting.value, problem)
        return again, {product: form[product] for product in form if product not in again}

    def _is_local(self, version: Version) -> bool:
        """Whether a variable is set in each call of a macro for that call alone."""
        variable = version.variable
        own = variable.macro and not variable.attribute
        return bool(own) and self._names.is_assigned(variable)

    def _called(self, name: str) -> Form:
        """Return how often a macro is called."""
        group = self._recursion.group(name)
        often = plus(*(
            self._closed(self._reader.executions(self._names.parents[id(call)]), call)
            for call, macro in self._names.macro_calls
            if macro.name in group and not self._recursion.again(call)
        ))  # fmt: skip
        return times(often, _REQUEST) if self._recursion.is_recursive(name) else often

    def _output(self, name: str, node: nodes.Node) -> Form:
        """Return the size of what a macro writes, with all that it calls."""
        own: Form = ONE
        for member in sorted(self._recursion.group(name)):
            for product, factor in self._reader.form(self._names.macros[member]).items():
                rounds = [symbol for symbol in product if isinstance(symbol, Rounds)]
                rest = tuple(symbol for symbol in product if symbol not in rounds)
                form = self._put_in({rest: factor}, node)
                others = self._but_again(form, rounds)
                own = plus(own, times(others, self._put_in({tuple(rounds): 1}, node)))
        return times(own, _REQUEST) if self._recursion.is_recursive(name) else own

    def _but_again(self, form: Form, rounds: Iterable[Rounds]) -> Form:
        """Return a form but for what comes of a macro's call of itself, which is written once."""
        others: dict[Product, float] = {}
        for product, factor in form.items():
            again = next((symbol for symbol in product if isinstance(symbol, Again)), None)
            if again is None:
                others[product] = factor
                continue
            around = self._names.parents[id(again.call)]
            loops = all(any(symbol.loop is parent for parent in around) for symbol in rounds)
            if factor > 1 or len(product) > 1 or not loops:
                problem = "calls itself and writes several times what it gets"
                raise UnboundedError(again.call, problem)
        return others
