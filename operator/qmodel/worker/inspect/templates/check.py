"""Whether a chat template may be used: it is parsed, bounded, and its parts are asked in turn.

The bounds leave room above the 70 templates that llama.cpp carries for its tests: those have at
most 17,000 characters, 1,300 statements and expressions, loops three deep.
"""

from jinja2 import Environment, TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from qmodel.worker.errors import SourceInvalid, UnsafeModel
from qmodel.worker.inspect.templates.allowed import forbidden
from qmodel.worker.inspect.templates.costs import costly
from qmodel.worker.inspect.templates.naming import name_all
from qmodel.worker.inspect.templates.problems import Problem
from qmodel.worker.inspect.templates.walk import depth, walk

MAX_CHARACTERS = 1 << 17
_MAX_DEPTH = 64
"""Of statements and expressions within each other."""
_MAX_NODES = 4000


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
        problem = _problem(tree)
    except RecursionError:
        message = f"{where} is nested more than {_MAX_DEPTH} deep, which no chat template is"
        raise UnsafeModel(message) from None
    except TemplateError as error:
        message = f"{where} is no valid Jinja template: {str(error)[:200]}"
        raise SourceInvalid(message) from error
    if problem:
        message = f"{where}, line {problem.node.lineno}: the chat template {problem.what}"
        raise UnsafeModel(message)


def _problem(tree: nodes.Template) -> Problem | None:
    """Return the node that makes a template unsafe, and what it does; None if none does."""
    if depth(tree) > _MAX_DEPTH:
        raise RecursionError
    if sum(1 for _ in walk(tree)) > _MAX_NODES:
        return Problem(tree, f"has more than {_MAX_NODES} statements and expressions")
    names = name_all(tree)
    return next(forbidden(tree, names), None) or costly(tree, names)
