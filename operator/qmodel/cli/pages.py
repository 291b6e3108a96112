"""`report` and `compare`: gather what a page shows, and write it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from qmodel.api.resource import QuantizedModel
from qmodel.cli.access import Access
from qmodel.cli.errors import AccessError
from qmodel.cli.page.subject import Subject


def subject(access: Access, model: QuantizedModel, *, volume: bool) -> Subject:
    """Return the model with what its volume holds; without it, why it could not be read."""
    if not volume:
        return Subject(model, trouble="It was not asked for (--no-volume).")
    if model.status.artifact is None:
        return Subject(model, trouble="There is no artifact yet.")
    click.echo(f"reading the volume of {model.name} by a pod...", err=True)
    try:
        return Subject(model, access.files(model))
    except AccessError as error:
        click.echo(f"the page is made from status alone: {error}", err=True)
        return Subject(model, trouble=str(error))


def report(one: Subject) -> str:
    """Return the page of one model."""
    # A second to load and 80 MB on disk, which the other commands need not have.
    from qmodel.cli.page import build  # noqa: PLC0415

    return build.report(one, _now())


def compare(several: Sequence[Subject]) -> str:
    """Return the page of several models."""
    from qmodel.cli.page import build  # noqa: PLC0415  as above

    return build.compare(several, _now())


def _now() -> datetime:
    return datetime.now().astimezone()


def write(text: str, path: Path) -> None:
    """Write a page and say where it lies.

    Raises
    ------
    AccessError
        It cannot be written there.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"the page cannot be written: {error}"
        raise AccessError(message) from error
    click.echo(f"page: {path} ({len(text.encode()) / 1000:,.0f} kB)")
