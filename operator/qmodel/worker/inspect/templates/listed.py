"""What published chat templates use: statements, functions, methods, filters and tests, by name."""

from jinja2 import nodes

NOT_LISTED = "which is not on the list of what chat templates may use"
"""Published templates use more than is on it: what changes a mapping (`update`) ends in an error of
vLLM's sandbox, and macros kept in a list could not be told apart."""

OTHER_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign,
    nodes.AssignBlock, nodes.Macro, nodes.Scope, nodes.FilterBlock, nodes.Break, nodes.Continue,
    nodes.Name, nodes.NSRef, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair,
    nodes.Keyword, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Call, nodes.Filter, nodes.Test,
    nodes.Compare, nodes.Operand, nodes.CondExpr, nodes.Concat, nodes.Add, nodes.Sub, nodes.Mul,
    nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.Not, nodes.And, nodes.Or,
)  # fmt: skip
FUNCTIONS = frozenset({"namespace", "raise_exception", "range", "strftime_now"})
GLOBALS = frozenset({
    "caller", "cycler", "dict", "joiner", "kwargs", "lipsum", "self", "super", "varargs",
})  # fmt: skip
"""Names of Jinja's own objects: their methods lead to Python, their values are uncounted."""
METHODS = frozenset({
    "append", "capitalize", "endswith", "find", "format", "get", "items", "keys", "lower",
    "lstrip", "partition", "pop", "removeprefix", "removesuffix", "replace", "rfind",
    "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "title",
    "upper", "values",
})  # fmt: skip
BY_NAME = frozenset({"map", "reject", "rejectattr", "select", "selectattr"})
TOLD = {"reject": 1, "select": 1, "rejectattr": 2, "selectattr": 2}
"""Names that a filter is told first; with what follows, its test only compares."""
BY_ATTRIBUTE = frozenset({"max", "min", "sort", "unique"})
FILTERS = BY_NAME | BY_ATTRIBUTE | frozenset({
    "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "from_json",
    "indent", "int", "items", "join", "last", "length", "list", "lower", "replace", "reverse",
    "safe", "string", "title", "tojson", "trim", "upper",
})  # fmt: skip
BLOCK_FILTERS = frozenset({"lower", "safe", "string", "trim", "upper"})
TESTS = frozenset({
    "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "gt",
    "in", "integer", "iterable", "le", "lt", "mapping", "ne", "none", "number", "odd", "sameas",
    "sequence", "string", "true", "undefined", "==", "!=",
})  # fmt: skip
INTERNALS = frozenset({
    "ag_code", "ag_frame", "cr_code", "cr_frame", "f_builtins", "f_globals", "f_locals",
    "format_map", "func_code", "func_globals", "gi_code", "gi_frame", "mro", "tb_frame",
})  # fmt: skip
"""Attributes by which templates reached the interpreter in earlier holes of the sandbox."""


def is_internal(name: str) -> bool:
    """Whether a name leads to Python."""
    return name.startswith("_") or name in INTERNALS
