"""`qmodel`, also found by kubectl as `kubectl qmodel`."""

import sys
from typing import Any

import click

from qmodel.api.conditions import ConditionType
from qmodel.cli import report as reports
from qmodel.cli.access import AccessError, connect, current_namespace, require_answering
from qmodel.cli.durations import parse_duration
from qmodel.cli.terminal import console
from qmodel.cli.watch import Feed, Watch

FAILED = 1


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


namespace_option = click.option(
    "-n", "--namespace", default=current_namespace, help="Default: that of the current context."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Follow, judge and try QuantizedModels."""


@cli.command()
@click.argument("name")
@namespace_option
@click.option(
    "--until",
    type=click.Choice([kind.value for kind in ConditionType], case_sensitive=False),
    default=ConditionType.READY.value,
    show_default=True,
    help="Condition to wait for.",
)
@click.option("--timeout", type=Duration(), default="1h", show_default=True, help="How long.")
def watch(name: str, namespace: str, until: str, timeout: float) -> None:
    """Follow the model NAME with progress bars until it is ready.

    Exit status: 0 once the condition is True, 1 if the model needs a person, 2 on timeout.
    """
    feed = Feed(connect(), namespace, name)
    sys.exit(Watch(feed, console(), ConditionType(until), timeout).run())


@cli.command()
@click.argument("name")
@namespace_option
def report(name: str, namespace: str) -> None:
    """Show what became of the model NAME: size, quality, memory, speed."""
    console().print(reports.table(connect().model(namespace, name)))


@cli.command()
@click.argument("name")
@click.argument("question")
@namespace_option
@click.option("--max-tokens", type=click.IntRange(min=1), default=256, show_default=True)
def chat(name: str, question: str, namespace: str, max_tokens: int) -> None:
    """Ask the model NAME one QUESTION and print its answer.

    The most likely answer is asked for, so that the same question has the same answer.
    """
    access = connect()
    model = access.model(namespace, name)
    require_answering(model)
    request = {
        "model": name,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": max_tokens,
        "temperature": 0,
    }
    click.echo(access.chat(model, request)["choices"][0]["message"]["content"].strip())


def main() -> None:
    """Run the program."""
    try:
        cli()
    except AccessError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
