"""`qmodel`, also found by kubectl as `kubectl qmodel`."""

import sys
from pathlib import Path

import click

from qmodel.api.conditions import ConditionType
from qmodel.cli import pages
from qmodel.cli import report as reports
from qmodel.cli.access import connect, require_answering
from qmodel.cli.errors import AccessError
from qmodel.cli.kubeconfig import Target
from qmodel.cli.options import Duration, Name, kubectl_options
from qmodel.cli.terminal import console
from qmodel.cli.watch import Feed, Watch
from qmodel.settings import OPERATOR_VERSION

FAILED = 1
OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@kubectl_options
@click.version_option(OPERATOR_VERSION, message="qmodel %(version)s")
def cli() -> None:
    """Follow, judge and try QuantizedModels."""


@cli.command()
@click.argument("name", type=Name())
@kubectl_options
@click.option(
    "--until",
    type=click.Choice([kind.value for kind in ConditionType], case_sensitive=False),
    default=ConditionType.READY.value,
    show_default=True,
    metavar="CONDITION",
    help=f"What to wait for: {', '.join(ConditionType)}.",
)
@click.option(
    "--timeout",
    type=Duration(),
    default="1h",
    show_default=True,
    help="When to give up, such as 90s, 10m or 1h30m.",
)
@click.pass_obj
def watch(target: Target, name: str, until: str, timeout: float) -> None:
    """Follow the model NAME with progress bars until it is ready.

    Exit status: 0 once the condition is True, 1 if the model needs a person, is deleted or cannot
    be read, 2 on timeout.
    """
    access, namespace = connect(target)
    feed = Feed(access, namespace, name)
    sys.exit(Watch(feed, console(), ConditionType(until), timeout).run())


text_option = click.option(
    "--text", is_flag=True, help="Print the table alone; make no page, and no pod."
)
volume_option = click.option(
    "--volume/--no-volume",
    default=True,
    show_default=True,
    help="For the page: read answers, layers and parameters from the model's volume. A pod does "
    "that in seconds; you need the right to create it.",
)


@cli.command()
@click.argument("name", type=Name())
@kubectl_options
@click.option(
    "-o", "--output", type=OUTPUT, help="Where the page goes.  [default: NAME-report.html]"
)
@text_option
@volume_option
@click.pass_obj
def report(target: Target, name: str, output: Path | None, *, text: bool, volume: bool) -> None:
    """Show what became of the model NAME: a table, and a page.

    The page is one HTML file for a browser, and needs no network. For programs:
    kubectl get quantizedmodel NAME -o json has every figure in its status.
    """
    access, namespace = connect(target)
    model = access.model(namespace, name)
    console().print(reports.table(model))
    if not text:
        subject = pages.subject(access, model, volume=volume)
        pages.write(pages.report(subject), output or Path(f"{name}-report.html"))


@cli.command()
@click.argument("names", type=Name(), nargs=-1, required=True)
@kubectl_options
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
@click.pass_obj
def compare(
    target: Target, names: tuple[str, ...], output: Path, *, text: bool, volume: bool
) -> None:
    """Put the models NAMES side by side: a table, and a page.

    The page is one HTML file for a browser, and needs no network.
    """
    access, namespace = connect(target)
    models = [access.model(namespace, name) for name in dict.fromkeys(names)]
    console().print(reports.comparison(models))
    if not text:
        subjects = [pages.subject(access, model, volume=volume) for model in models]
        pages.write(pages.compare(subjects), output)


@cli.command()
@click.argument("name", type=Name())
@click.argument("question")
@kubectl_options
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    metavar="TOKENS",
    help="Where the answer is cut.",
)
@click.pass_obj
def chat(target: Target, name: str, question: str, max_tokens: int) -> None:
    """Ask the model NAME one QUESTION and print its answer.

    It goes through the API server, so that it works wherever kubectl does. The most likely answer
    is asked for: the same question has the same answer.
    """
    access, namespace = connect(target)
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


def _called(program: str) -> str:
    """Return how people call it, for the usage: kubectl runs a file that nobody types."""
    return "kubectl qmodel" if Path(program).stem == "kubectl-qmodel" else "qmodel"


def main() -> None:
    """Run the program."""
    try:
        cli(prog_name=_called(sys.argv[0]))
    except AccessError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
