"""llama-server's command line: what is measured is what serves, to the letter.

Everything that changes memory is said explicitly, so that no default of another llama.cpp, and
nothing that the node happens to have, decides it.
"""

import json
from itertools import chain

from qmodel.api.serving import KVCacheType
from qmodel.naming import short_hash

PORT = 8080
"""Where the server listens inside its pod."""
HEALTH_PATH = "/health"
"""503 while the model loads, 200 once it answers."""
BATCH_TOKENS = 2048
"""Tokens of one logical batch, all sequences together."""
UBATCH_TOKENS = 512
"""Tokens computed at once; the compute buffers are sized by it."""
GRACE_SECONDS = 120
"""Time from the decision to stop a server until it is killed."""
EXIT_SECONDS = 10
"""Part of it that the server has for exiting; the rest is for the requests that have begun."""
ALL_LAYERS = 999
"""More layers than any model has: offload everything."""
_SPARE_HTTP_THREADS = 4
"""For /health and /metrics while every slot streams; the default follows the node's cores."""
_NEEDS_FLASH_ATTENTION = frozenset({KVCacheType.Q8_0, KVCacheType.Q4_0})
"""A quantized V cache is refused without it."""


def server_argv(  # noqa: PLR0913  one keyword a flag
    *,
    model_path: str,
    alias: str,
    context_length: int,
    concurrency: int,
    kv_type: KVCacheType,
    gpu_layers: int,
    threads: int,
    extra_args: list[str],
) -> list[str]:
    """Return the server's whole command line.

    Parameters
    ----------
    model_path
        GGUF file inside the container.
    alias
        Name of the model in OpenAI answers.
    context_length
        Longest sequence, in tokens.
    concurrency
        Sequences at once, each with its own context.
    kv_type
        Element type of keys and values.
    gpu_layers
        Layers on the GPU; 0 on a CPU.
    threads
        CPU threads; the default is all cores of the node, however few the pod was given.
    extra_args
        The user's arguments; the API refuses those that would undo these.
    """
    return [
        "llama-server",
        *("--model", model_path),
        *("--alias", alias),
        *("--host", "0.0.0.0"),  # noqa: S104  the Service reaches it
        *("--port", str(PORT)),
        *chain.from_iterable(_sizes(context_length, concurrency).items()),
        "--no-kv-unified",
        *(("--n-gpu-layers", str(gpu_layers)) if gpu_layers else ()),
        *("--threads", str(threads)),
        *_memory_args(kv_type),
        *("--jinja", "--metrics", "--no-slots", "--no-ui", "--offline"),
        *extra_args,
    ]


def resized(argv: list[str], *, context_length: int, concurrency: int) -> list[str]:
    """Return a command line for another context and concurrency, otherwise to the letter.

    A server keeps the flags that it was measured with, whatever a later release would choose.
    """
    values = _sizes(context_length, concurrency)
    following = zip([None, *argv[:-1]], argv, strict=True)
    return [values.get(flag or "", word) for flag, word in following]


def _sizes(context_length: int, concurrency: int) -> dict[str, str]:
    """Return the flags that follow context and concurrency, with their values."""
    return {
        "--ctx-size": str(context_length * concurrency),
        "--parallel": str(concurrency),
        "--threads-http": str(concurrency + _SPARE_HTTP_THREADS),
    }


def _memory_args(kv_type: KVCacheType) -> list[str]:
    """Return the flags that keep memory where it was measured."""
    name = kv_type.value.lower()
    return [
        *("--batch-size", str(BATCH_TOKENS)),
        *("--ubatch-size", str(UBATCH_TOKENS)),
        *("--cache-type-k", name, "--cache-type-v", name),
        *("--flash-attn", "on" if kv_type in _NEEDS_FLASH_ATTENTION else "auto"),
        *("--cache-ram", "0"),
        *("--ctx-checkpoints", "0"),
        *("--fit", "off"),
        *("--load-mode", "none"),
    ]


def arguments_hash(
    *, image: str, kv_type: KVCacheType, gpu_layers: int, threads: int, extra_args: list[str]
) -> str:
    """Return what a measurement depends on; where it differs, the server is measured anew.

    Context and concurrency are not in it (their part follows by arithmetic), nor are the
    model's path and alias.
    """
    parts = [image, BATCH_TOKENS, UBATCH_TOKENS, kv_type.value, gpu_layers, threads, extra_args]
    return short_hash(json.dumps(parts))
