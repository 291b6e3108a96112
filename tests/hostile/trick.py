"""What one hostile model is made by, and what must be said of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Build = Callable[[Path], object]


@dataclass(frozen=True)
class Trick:
    """One hostile change to a good model."""

    build: Build
    """Changes the folder that holds the good model."""
    reason: str
    """Of the condition."""
    told: str
    """What the message says of it."""
    file: str = "config.json"
    """What the message names."""
    method: str = "GGUF"
    """What is asked for."""


def unsafe(build: Build, file: str, told: str, method: str = "GGUF") -> Trick:
    """Return a trick that is refused as unsafe."""
    return Trick(build, "UnsafeModel", told, file, method)


def invalid(build: Build, file: str, told: str, method: str = "GGUF") -> Trick:
    """Return a trick that is refused as invalid."""
    return Trick(build, "SourceInvalid", told, file, method)


def config(**changes: Any) -> Build:
    """Return a change of config.json."""
    return merge("config.json", **changes)


def merge(name: str, **changes: Any) -> Build:
    """Return a change of a JSON file, which is made if it is missing."""

    def build(folder: Path) -> None:
        path = folder / name
        document = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(document | changes))

    return build


def put(name: str, content: bytes | str) -> Build:
    """Return the writing of a file."""
    encoded = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(encoded)


def only(name: str, content: bytes) -> Build:
    """Return the replacing of the weights by a file of another name."""

    def build(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / name).write_bytes(content)

    return build
