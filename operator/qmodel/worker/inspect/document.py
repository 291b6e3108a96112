"""JSON documents of a model, read within bounds: nothing in them is trusted."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from qmodel.worker.errors import SourceInvalid
from qmodel.worker.sources import Source, read

MAX_CONFIG_BYTES = 8 << 20
"""The largest tokenizer_config.json in use has 2 MB."""
MAX_INDEX_BYTES = 24 << 20
"""The largest index of shards in use has 20 MB."""
_MAX_CONTAINERS = 300_000
"""Lists and objects; each takes 20 times the memory of the text that it is written as."""
_MAX_MEMBERS = 4_000_000
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_object(content: bytes, where: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises
    ------
    SourceInvalid
        If `content` is not UTF-8 or not JSON, says one thing twice, is nested or filled absurdly,
        or is no object.
    """
    containers = content.count(b"[") + content.count(b"{")
    if containers > _MAX_CONTAINERS or content.count(b",") > _MAX_MEMBERS:
        message = (
            f"{where} holds {containers} lists and objects in {len(content)} bytes: at most"
            f" {_MAX_CONTAINERS} are read"
        )
        raise SourceInvalid(message)
    try:
        document = json.loads(
            content.decode(), object_pairs_hook=_unique, parse_constant=_no_constant
        )
        if _SURROGATE.search(content):
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        message = f"{where} is not valid JSON: {str(error)[:300]}"
        raise SourceInvalid(message) from error
    if not isinstance(document, dict):
        message = f"{where} holds a {type(document).__name__} where an object is expected"
        raise SourceInvalid(message)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; refuse one that says two things of one key, since readers differ."""
    found = dict(pairs)
    if len(found) != len(pairs):
        for key, value in pairs:
            if found[key] != value:
                message = f"it says {key[:100]!r} twice, and not the same"
                raise ValueError(message)
    return found


def _no_constant(name: str) -> float:
    """Return infinity, which Mamba's configurations hold; refuse what is no number."""
    if name == "NaN":
        message = "it holds NaN"
        raise ValueError(message)
    return float(name)


def load_object(source: Source, path: str, most: int = MAX_CONFIG_BYTES) -> dict[str, Any]:
    """Return the JSON object of a file, or an empty one if the source has no such file."""
    file = source.files.get(path)
    if file is None:
        return {}
    if file.bytes > most:
        message = f"{path} has {file.bytes} bytes: at most {most} are read"
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
