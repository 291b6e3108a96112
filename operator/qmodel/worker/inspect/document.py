"""JSON documents of a model, read within bounds: nothing in them is trusted."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from qmodel.worker.errors import SourceInvalid
from qmodel.worker.sources import Source, read

MAX_DOCUMENT_BYTES = 64 << 20
"""The largest index of shards in use has 10 MB."""


def parse_object(content: bytes, where: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises
    ------
    SourceInvalid
        If `content` is not JSON, is nested absurdly, or is no object.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        message = f"{where} is not valid JSON: {error}"
        raise SourceInvalid(message) from error
    if not isinstance(document, dict):
        message = f"{where} holds a {type(document).__name__} where an object is expected"
        raise SourceInvalid(message)
    return document


def load_object(source: Source, path: str) -> dict[str, Any]:
    """Return the JSON object of a file, or an empty one if the source has no such file."""
    file = source.files.get(path)
    if file is None:
        return {}
    if file.bytes > MAX_DOCUMENT_BYTES:
        message = f"{path} has {file.bytes} bytes: at most {MAX_DOCUMENT_BYTES} are read"
        raise SourceInvalid(message)
    return parse_object(read(source, path, 0, file.bytes), path)


def whole(document: Mapping[str, Any], keys: Iterable[str], largest: int, where: str) -> int | None:
    """Return the first of `keys` that is set: a whole number from 1 to `largest`.

    Raises
    ------
    SourceInvalid
        If it is anything else.
    """
    key = next((key for key in keys if document.get(key) is not None), None)
    if key is None:
        return None
    return bounded(document[key], largest, f"{key} in {where}")


def bounded(value: object, largest: int, where: str) -> int:
    """Return a whole number from 1 to `largest`, or refuse."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        message = f"{where} is {str(value)[:40]!r}: a whole number from 1 to {largest} is expected"
        raise SourceInvalid(message)
    return value
