"""How large what methods and filters give is, by what they are used on and given."""

from jinja2 import nodes

from qmodel.worker.inspect.templates.forms import ONE, Form, most, plus, times

LOOSE: Form = {(): 8}
"""Characters that one becomes at most when it is escaped, quoted or printed."""
_SAME = frozenset({
    "default", "d", "dictsort", "first", "get", "int", "items", "keys", "last", "list",
    "lstrip", "max", "min", "partition", "pop", "reject", "rejectattr", "removeprefix",
    "removesuffix", "reverse", "rpartition", "rsplit", "rstrip", "safe", "select", "selectattr",
    "sort", "split", "splitlines", "strip", "trim", "unique", "values", "from_json", "string",
    "upper", "lower", "title", "capitalize", "length", "count", "find", "startswith", "endswith",
})  # fmt: skip
"""Methods and filters whose result is no larger than what they are used on, or given."""


def result(name: str, form: Form, given: list[nodes.Expr], forms: list[Form]) -> Form:
    """Return the size of what a method or filter gives.

    Parameters
    ----------
    name
        Of the method or filter.
    form
        The size of what it is used on.
    given
        What it is given.
    forms
        The sizes of that.
    """
    if name == "replace":
        return _replaced(form, given, forms)
    if name in ("join", "indent"):
        return times(form, plus(ONE, *forms))
    if name == "format":
        return plus(form, times(form, plus(*forms)))
    if name in _SAME:
        return most(form, *forms)
    return times(LOOSE, form)


def _replaced(form: Form, given: list[nodes.Expr], forms: list[Form]) -> Form:
    """Return the size of a text with one part replaced."""
    old, new, *_ = [value.value if isinstance(value, nodes.Const) else None for value in given]
    if old and isinstance(old, str) and isinstance(new, str):
        return times({(): max(1, -(-len(new) // len(old)))}, form)
    return times(form, plus(ONE, *forms))
