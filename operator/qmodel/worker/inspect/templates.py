"""Chat templates: Jinja programs that every engine runs on each request.

The engines run them in a sandbox, which keeps them from Python but not from looping or filling
memory: transformers' (and so vLLM's) has no limit of time, llama.cpp's own interpreter neither.
They are parsed here by Jinja itself and never rendered; what no published template does is
refused. The bounds leave room above the 70 templates that llama.cpp carries for its tests: those
have at most 17,000 characters, loops three deep, whole numbers up to 16,384.
"""

import re
from collections.abc import Iterator

from jinja2 import Environment, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from qmodel.worker.errors import SourceInvalid, UnsafeModel
from qmodel.worker.inspect.template_costs import costly
from qmodel.worker.inspect.template_walk import depth, walk

MAX_CHARACTERS = 1 << 17
_MAX_DEPTH = 64
"""Of statements and expressions within each other."""

_OTHER_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
_INTERNALS = frozenset({
    "ag_code", "ag_frame", "cr_code", "cr_frame", "f_builtins", "f_globals", "f_locals",
    "format_map", "func_code", "func_globals", "gi_code", "gi_frame", "mro", "tb_frame",
})  # fmt: skip
"""Attributes by which templates reached the interpreter in earlier holes of the sandbox."""
_GLOBALS = frozenset({"lipsum", "self", "cycler", "joiner"})
"""Names of Jinja's own objects, whose methods lead to Python's globals."""
_ATTRIBUTE_FILTERS = frozenset({
    "attr", "groupby", "map", "max", "min", "rejectattr", "selectattr", "sort", "sum", "unique",
})  # fmt: skip


class _Generation(Extension):
    """The block that marks the assistant's words, as transformers knows it."""

    tags = {"generation"}  # noqa: RUF012  as the base class has it

    def parse(self, parser: Parser) -> nodes.Node:
        """Return the block's body."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


_ENVIRONMENT = Environment(  # noqa: S701  parses only, renders nothing
    trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
)


def check_template(template: object, where: str) -> None:
    """Check one chat template.

    Parameters
    ----------
    template
        Its text.
    where
        The file, and the key in it, for messages.

    Raises
    ------
    SourceInvalid
        If it is no text, too large, or not Jinja.
    UnsafeModel
        If it reaches for Python or other files, or could run or grow without end.
    """
    if not isinstance(template, str):
        message = f"{where} is a {type(template).__name__} where a chat template is expected"
        raise SourceInvalid(message)
    if len(template) > MAX_CHARACTERS:
        message = (
            f"{where} has {len(template)} characters: a chat template of at most"
            f" {MAX_CHARACTERS} is read"
        )
        raise SourceInvalid(message)
    try:
        tree = _ENVIRONMENT.parse(template)
        deep = depth(tree) > _MAX_DEPTH
    except RecursionError:
        deep = True
    except TemplateError as error:
        message = f"{where} is no valid Jinja template: {str(error)[:200]}"
        raise SourceInvalid(message) from error
    if deep:
        message = f"{where} is nested more than {_MAX_DEPTH} deep, which no chat template is"
        raise UnsafeModel(message)
    problem = next((p for node in walk(tree) for p in _reaching(node)), None) or costly(tree)
    if problem:
        node, what = problem
        message = f"{where}, line {node.lineno}: the chat template {what}"
        raise UnsafeModel(message)


def _reaching(node: nodes.Node) -> Iterator[tuple[nodes.Node, str]]:
    """Yield how a node leaves the template: for other files, or for Python."""
    if isinstance(node, _OTHER_FILES):
        yield node, f"loads another template ({type(node).__name__.lower()})"
    elif isinstance(node, nodes.Name) and node.name in _GLOBALS:
        yield node, f"reaches for Python through {node.name!r}"
    elif isinstance(node, nodes.Getattr) and _internal(node.attr):
        yield node, f"reaches for Python through the attribute {node.attr[:60]!r}"
    elif isinstance(node, nodes.Const) and isinstance(node.value, str) and "__" in node.value:
        yield node, f"reaches for Python through the text {node.value[:60]!r}"
    elif isinstance(node, nodes.Getitem) and _internal(_text(node.arg)):
        yield node, f"reaches for Python through the item {_text(node.arg)[:60]!r}"
    elif isinstance(node, nodes.Filter) and node.name in _ATTRIBUTE_FILTERS:
        yield from _through_filter(node)


def _through_filter(node: nodes.Filter) -> Iterator[tuple[nodes.Node, str]]:
    """Yield how a filter is told an attribute that is internal, or computed."""
    given = [*node.args, *(keyword.value for keyword in node.kwargs)]
    if node.name == "attr" and not all(isinstance(value, nodes.Const) for value in given):
        yield node, "computes the name of an attribute (filter attr)"
    for value in given:
        if any(_internal(part) for part in re.split(r"[.\[\]]", _text(value))):
            yield node, f"reaches for Python through the filter {node.name}"


def _internal(name: str) -> bool:
    return name.startswith("_") or name in _INTERNALS


def _text(node: nodes.Node) -> str:
    """Return a constant text, or an empty one."""
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else ""
