"""`qmodel`, also found by kubectl as `kubectl qmodel`."""

import sys
from pathlib import Path
from typing import Any

import click

from qmodel.api.conditions import ConditionType
from qmodel.cli import pages
from qmodel.cli import report as reports
from qmodel.cli.access import connect, current_namespace, require_answering
from qmodel.cli.durations import parse_duration
from qmodel.cli.errors import AccessError
from qmodel.cli.terminal import console
from qmodel.cli.watch import Feed, Watch

FAILED = 1
OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)


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


namespace_option = click.option(
    "-n",
    "--namespace",
    type=Name(),
    default=current_namespace,
    help="Default: that of the current context.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Follow, judge and try QuantizedModels."""


@cli.command()
@click.argument("name", type=Name())
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


text_option = click.option("--text", is_flag=True, help="Print the table alone, make no page.")
volume_option = click.option(
    "--volume/--no-volume",
    default=True,
    help="Read answers, layers and parameters from the model's volume, by a pod that lives for "
    "seconds and needs your right to create pods.",
)


@cli.command()
@click.argument("name", type=Name())
@namespace_option
@click.option(
    "-o", "--output", type=OUTPUT, help="Where the page goes.  [default: NAME-report.html]"
)
@text_option
@volume_option
def report(name: str, namespace: str, output: Path | None, *, text: bool, volume: bool) -> None:
    """Show what became of the model NAME, and write a page of it.

    The page is one HTML file for a browser that needs no network.
    """
    access = connect()
    model = access.model(namespace, name)
    console().print(reports.table(model))
    if not text:
        subject = pages.subject(access, model, volume=volume)
        pages.write(pages.report(subject), output or Path(f"{name}-report.html"))


@cli.command()
@click.argument("names", type=Name(), nargs=-1, required=True)
@namespace_option
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    default=Path("compare.html"),
    show_default=True,
    help="Where the page goes.",
)
@text_option
@volume_option
def compare(
    names: tuple[str, ...], namespace: str, output: Path, *, text: bool, volume: bool
) -> None:
    """Put the models NAMES into one table, and into one page."""
    access = connect()
    models = [access.model(namespace, name) for name in dict.fromkeys(names)]
    console().print(reports.comparison(models))
    if not text:
        subjects = [pages.subject(access, model, volume=volume) for model in models]
        pages.write(pages.compare(subjects), output)


@cli.command()
@click.argument("name", type=Name())
@click.argument("question")
@namespace_option
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Longest answer.",
)
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
    answer = access.chat(model, request)["choices"][0]
    click.echo((answer["message"]["content"] or "").strip())
    if answer.get("finish_reason") == "length":
        click.echo(f"The answer was cut after {max_tokens} tokens (--max-tokens).", err=True)


def main() -> None:
    """Run the program."""
    try:
        cli()
    except AccessError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
