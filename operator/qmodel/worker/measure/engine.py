"""What measuring knows of an engine: its log, its version, its way to take a prompt of tokens."""

from dataclasses import dataclass
from typing import Protocol

from qmodel.worker.measure.server import Reader, Server
from qmodel.worker.report import ProcessMemory


@dataclass
class Stream:
    """One request and what came of it."""

    prompt: list[int]
    generate: int
    sampled: bool = False
    """Drawn with all the options that take memory; else by the engine's cheapest."""
    first_token: float = 0.0
    """When the first token came, on the monotonic clock."""
    last_token: float = 0.0
    processed: int = 0
    """Prompt tokens that the server has worked through."""
    generated: int = 0

    @property
    def moved(self) -> int:
        """Tokens so far."""
        return self.processed + self.generated

    @property
    def tokens(self) -> int:
        """Tokens in the end."""
        return len(self.prompt) + self.generate


@dataclass(frozen=True)
class Peaks:
    """What the server held, in bytes."""

    start: int
    """The most until it was ready."""
    ready: int
    """Once it was ready."""
    peak: int
    """The most in all."""
    device: int
    """The most on its GPUs."""
    processes: list[ProcessMemory]
    """Each process once it was ready."""


@dataclass(frozen=True)
class Parts:
    """The parts of a footprint, in bytes."""

    weights: int
    kv: int
    compute: int
    other: int
    device: int
    kv_per_token: int


class MeasuredEngine(Reader, Protocol):
    """One engine under measurement."""

    stall_seconds: float
    """Longest time in which no stream moves: one batch of a large model on few cores."""

    @property
    def argv(self) -> list[str]:
        """The server's command line, with what makes its log complete."""

    def version(self) -> str:
        """Return the engine's version.

        Raises
        ------
        EngineFailed
            If it cannot be started at all.
        """

    def model_name(self) -> str:
        """Return the name that the server answers to."""

    def tokens(self, server: Server, text: str) -> list[int]:
        """Return the model's tokens of a text."""

    def ahead(self, tokens: list[int]) -> Stream | None:
        """Return a request to keep the engine busy while the load's arrive, if they must."""

    def follow(self, server: Server, stream: Stream) -> None:
        """Send one request and note what comes back."""

    def parts(self, peaks: Peaks) -> Parts:
        """Return what the memory was for."""
