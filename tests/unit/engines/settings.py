"""What a server of either engine is asked for, and a look at its command line."""

from qmodel.api.serving import DType
from qmodel.engines import ServerSettings

SETTINGS = ServerSettings(
    model_path="/artifacts/r",
    alias="smollm2",
    context_length=4096,
    concurrency=2,
    kv_bytes=191_692_800,
    kv_type=None,
    dtype=DType.AUTO,
    gpus=0,
    tensor_parallel_size=1,
    threads=2,
)


def value(argv: list[str], flag: str) -> str:
    """Return what follows a flag."""
    return argv[argv.index(flag) + 1]
