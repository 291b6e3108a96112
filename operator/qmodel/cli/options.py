"""What the words on the command line mean, and kubectl's own options, which every command takes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from qmodel.cli.durations import parse_duration
from qmodel.cli.kubeconfig import Target

F = TypeVar("F", bound=Callable[..., Any])


class Duration(click.ParamType[float]):
    """A time as kubectl takes it."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return it in seconds."""
        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Name(click.ParamType[str]):
    """What an object is called: an empty one, as of an unset variable, would list all of a kind."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as it was written."""
        if not value.strip():
            self.fail("it is empty", param, ctx)
        return str(value)


def kubectl_options(command: F) -> F:
    """Add kubectl's options; a command finds what was asked for by `click.pass_obj`, as a `Target`.

    They may stand before the subcommand and after it, where kubectl's users write them; the latter
    wins.
    """
    for option in reversed(_KUBECTL_OPTIONS):
        command = option(command)
    return command


def _note(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Keep what was asked for; a subcommand's context begins with that of the group."""
    asked = ctx.ensure_object(Target)
    if value is not None and param.name is not None:
        ctx.obj = replace(asked, **{param.name: value})


_KUBECTL_OPTIONS = (
    click.option(
        "-n",
        "--namespace",
        type=Name(),
        expose_value=False,
        callback=_note,
        help="Namespace of the models.  [default: that of the context]",
    ),
    click.option(
        "--context",
        type=Name(),
        expose_value=False,
        callback=_note,
        help="Context of the kubeconfig.  [default: the current one]",
    ),
    click.option(
        "--kubeconfig",
        type=click.Path(exists=True, dir_okay=False),
        expose_value=False,
        callback=_note,
        help="File to find the cluster in.  [default: $KUBECONFIG or ~/.kube/config]",
    ),
)
