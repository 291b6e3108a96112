"""What every engine tells the operator about its server."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from qmodel.api.serving import DType, KVCacheType


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What a server's command line is made from."""

    model_path: str
    """File or folder inside the container."""
    alias: str
    """Name of the model in OpenAI answers."""
    context_length: int
    """Longest sequence, in tokens."""
    concurrency: int
    """Sequences at once, each with its own context."""
    kv_bytes: int
    """KV cache of all sequences, on all devices together."""
    kv_type: KVCacheType | None
    """Element type of keys and values; None: the engine's own."""
    dtype: DType
    gpus: int
    """GPUs of one server; 0 on a CPU."""
    tensor_parallel_size: int
    """GPUs that each layer is split over; 1: none is split."""
    threads: int
    """CPU threads; the default of engines is all cores of the node."""
    extra_args: tuple[str, ...] = ()
    """The user's arguments; the API refuses those that would undo these."""


class ServingEngine(Protocol):
    """A server of the OpenAI API: one class an engine."""

    port: int
    """Where the server listens inside its pod."""
    health_path: str
    """503 while the model loads or once the engine died, 200 while it answers."""
    grace_seconds: int
    """Time from the decision to stop a server until it is killed."""
    exit_seconds: int
    """Part of it that the server has for exiting; the rest is for running requests."""
    shared_memory_bytes: int
    """What /dev/shm must hold; it counts as the pod's memory. 0: nothing."""
    kv_types: tuple[KVCacheType, ...]
    """Element types that its cache can have."""

    def server_argv(self, settings: ServerSettings) -> list[str]:
        """Return the server's whole command line."""

    def resized(
        self, argv: list[str], *, context_length: int, concurrency: int, kv_bytes: int
    ) -> list[str]:
        """Return a command line for another context and concurrency, otherwise to the letter.

        A server keeps the flags that it was measured with, whatever a later release would choose.
        """

    def environment(self, settings: ServerSettings) -> dict[str, str]:
        """Return the variables that the engine needs, besides the user's."""


def with_values(argv: list[str], values: Mapping[str, str]) -> list[str]:
    """Return a command line whose flags have other values, where it has those flags."""
    following = zip([None, *argv[:-1]], argv, strict=True)
    return [values.get(flag or "", word) for flag, word in following]
