"""llama-server's command line: what is measured is what serves, to the letter.

Everything that changes memory is said explicitly, so that no default of another llama.cpp, and
nothing that the node happens to have, decides it.
"""

from itertools import chain

from qmodel.api.serving import KVCacheType
from qmodel.engines.base import ServerSettings, with_values

BATCH_TOKENS = 2048
"""Tokens of one logical batch, all sequences together."""
UBATCH_TOKENS = 512
"""Tokens computed at once; the compute buffers are sized by it."""
ALL_LAYERS = 999
"""More layers than any model has: offload everything."""
DEFAULT_KV_TYPE = KVCacheType.F16
_SPARE_HTTP_THREADS = 4
"""For /health and /metrics while every slot streams; the default follows the node's cores."""
_NEEDS_FLASH_ATTENTION = frozenset({KVCacheType.Q8_0, KVCacheType.Q4_0})
"""A quantized V cache is refused without it."""


class LlamaCpp:
    """llama-server of the pinned llama.cpp."""

    port = 8080
    health_path = "/health"
    grace_seconds = 120
    exit_seconds = 10
    shared_memory_bytes = 0
    kv_types: tuple[KVCacheType, ...] = (
        KVCacheType.F16,
        KVCacheType.BF16,
        KVCacheType.Q8_0,
        KVCacheType.Q4_0,
    )

    def server_argv(self, settings: ServerSettings) -> list[str]:
        """Return the server's whole command line."""
        return [
            "llama-server",
            *("--model", settings.model_path),
            *("--alias", settings.alias),
            *("--host", "0.0.0.0"),  # noqa: S104  the Service reaches it
            *("--port", str(self.port)),
            *chain.from_iterable(_sizes(settings.context_length, settings.concurrency).items()),
            "--no-kv-unified",
            *(("--n-gpu-layers", str(ALL_LAYERS)) if settings.gpus else ()),
            *("--threads", str(settings.threads)),
            *_memory_args(settings.kv_type or DEFAULT_KV_TYPE),
            *("--jinja", "--metrics", "--no-slots", "--no-ui", "--offline"),
            *settings.extra_args,
        ]

    def resized(
        self, argv: list[str], *, context_length: int, concurrency: int, kv_bytes: int
    ) -> list[str]:
        """Return a command line for another context and concurrency, otherwise to the letter."""
        del kv_bytes  # follows from context and concurrency
        return with_values(argv, _sizes(context_length, concurrency))

    def environment(self, settings: ServerSettings) -> dict[str, str]:
        """Return the variables that the engine needs, besides the user's: none."""
        del settings
        return {}


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
