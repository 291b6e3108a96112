"""What the sizes of a chat template's values are made of, before they are put in."""

from dataclasses import dataclass

from jinja2 import nodes

from qmodel.worker.inspect.templates.forms import Symbol
from qmodel.worker.inspect.templates.names import Setting, Variable

REQUEST_SIZE = Symbol(0)
"""The size of the request, which is what everything is counted by in the end."""


@dataclass(frozen=True, eq=False)
class Version(Symbol):
    """The size of a variable, as far as one of its readers may find it set."""

    variable: Variable
    settings: list[Setting]
    outer: Symbol | None
    """What it is where none of them has run; None where one always has."""

    def __str__(self) -> str:
        name, attribute = self.variable.name, self.variable.attribute
        return repr((f"{name}.{attribute}" if attribute else name)[:60])


@dataclass(frozen=True, eq=False)
class Calls(Symbol):
    """How often a macro is called."""

    macro: str

    def __str__(self) -> str:
        return f"the calls of {self.macro!r}"


@dataclass(frozen=True, eq=False)
class Output(Symbol):
    """The size of what a macro writes, with all that it calls."""

    macro: str

    def __str__(self) -> str:
        return f"what {self.macro!r} writes"


@dataclass(frozen=True, eq=False)
class Again(Symbol):
    """The size of what a macro gets of a call that belongs to its own recursion."""

    macro: str
    call: nodes.Call


@dataclass(frozen=True, eq=False)
class Rounds(Symbol):
    """How often a loop runs, each time that it is come to."""

    loop: nodes.For
