"""vLLM's command line and variables: what is measured is what serves, to the letter.

The KV cache is given in bytes. A share of the device (`--gpu-memory-utilization`) would make use
look like need, and would change with the node.
"""

from itertools import chain

from qmodel.api.serving import KVCacheType
from qmodel.engines.base import ServerSettings, with_values

BATCH_TOKENS = 2048
"""Tokens computed at once; activations are sized by it, and longer prompts come in pieces."""
BLOCK_TOKENS = 128
"""Tokens of one block of the KV cache on a CPU; on a GPU it is 16, of which 128 is a multiple."""
WORKER_CLASS = "qmodel.worker.vllm_worker.Worker"
"""CPU worker that takes the KV bytes as they are given."""
EXECUTOR_CLASS = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
"""Lets the engine core compute by itself, as `uni` would. On a CPU vLLM turns that into a worker
process, only for the sake of binding threads to cores, which we do not."""
DEVICE_SHARE = "0.01"
"""What vLLM asks to be free of a GPU before it starts. The cache is given in bytes, so that nothing
else follows from it; by default it refuses a GPU of which others hold a twelfth."""
START_SECONDS = 3600
"""Longest time that the API server waits for its engine; 600 by default."""

_PARALLEL = "--tensor-parallel-size"
_KV_TYPES = {KVCacheType.F16: "float16", KVCacheType.BF16: "bfloat16", KVCacheType.FP8: "fp8"}
"""What vLLM calls the types that it offers."""

_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HOME": "/tmp",  # noqa: S108  the pod's own, as are the next two
    "TMPDIR": "/tmp",  # noqa: S108
    "VLLM_CACHE_ROOT": "/tmp/vllm",  # noqa: S108
    "VLLM_ENGINE_READY_TIMEOUT_S": str(START_SECONDS),
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_PLUGINS": "bitsandbytes",
}
"""No request of its own, nothing written but scratch, no plugin but the one that we install."""
_LOOKED_AT = {"VLLM_CACHE_ROOT": "/opt/vllm"}
"""What its image for CPUs knows of every model class; nothing else is cached without a compiler."""


class VLLM:
    """The OpenAI server of the pinned vLLM."""

    port = 8080
    health_path = "/health"
    grace_seconds = 120
    exit_seconds = 20
    shared_memory_bytes = 2**30
    kv_types = tuple(_KV_TYPES)

    def server_argv(self, settings: ServerSettings) -> list[str]:
        """Return the server's whole command line."""
        device_bytes = -(-settings.kv_bytes // settings.tensor_parallel_size)
        sizes = _sizes(settings.context_length, settings.concurrency, device_bytes)
        return [
            *("python", "-m", "vllm.entrypoints.launchers.api_server.entry"),
            *("--model", settings.model_path),
            *("--served-model-name", settings.alias),
            *("--host", "0.0.0.0"),  # noqa: S104  the Service reaches it
            *("--port", str(self.port)),
            *chain.from_iterable(sizes.items()),
            *("--max-num-batched-tokens", str(BATCH_TOKENS)),
            *("--dtype", settings.dtype.value),
            *_kv_type_args(settings),
            *_device_args(settings),
            *("--language-model-only", "--disable-uvicorn-access-log"),
            "--enable-server-load-tracking",  # counts requests from their arrival on, for the drain
            *settings.extra_args,
        ]

    def resized(
        self, argv: list[str], *, context_length: int, concurrency: int, kv_bytes: int
    ) -> list[str]:
        """Return a command line for another context and concurrency, otherwise to the letter."""
        devices = int(argv[argv.index(_PARALLEL) + 1]) if _PARALLEL in argv else 1
        return with_values(argv, _sizes(context_length, concurrency, -(-kv_bytes // devices)))

    def environment(self, settings: ServerSettings) -> dict[str, str]:
        """Return the variables that the engine needs, besides the user's."""
        if settings.gpus:
            return dict(_ENVIRONMENT)
        # Servers share a node's cores: bound to some of them, two would meet on the same ones.
        # Threads that spin while they wait slow down whatever else runs there. Log probabilities
        # would be compiled by the first request for them, with a compiler that no image has.
        return {
            **_ENVIRONMENT,
            **_LOOKED_AT,
            "OMP_NUM_THREADS": str(settings.threads),
            "OMP_WAIT_POLICY": "passive",
            "TORCHDYNAMO_DISABLE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        }


def _sizes(context_length: int, concurrency: int, device_bytes: int) -> dict[str, str]:
    """Return the flags that follow context and concurrency; the cache is that of one device."""
    return {
        "--max-model-len": str(context_length),
        "--max-num-seqs": str(concurrency),
        "--kv-cache-memory-bytes": str(device_bytes),
    }


def _kv_type_args(settings: ServerSettings) -> list[str]:
    """Return the flags of the cache's type; without one it is that of the activations."""
    if settings.kv_type is None:
        return []
    return ["--kv-cache-dtype", _KV_TYPES[settings.kv_type]]


def _device_args(settings: ServerSettings) -> list[str]:
    """Return the flags that differ between CPU and GPU."""
    if settings.gpus:
        parallel = str(settings.tensor_parallel_size)
        return [_PARALLEL, parallel, "--gpu-memory-utilization", DEVICE_SHARE]
    classes = ["--worker-cls", WORKER_CLASS, "--distributed-executor-backend", EXECUTOR_CLASS]
    return ["--enforce-eager", *classes]
