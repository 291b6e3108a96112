"""What a server is asked to hold at once."""

from dataclasses import dataclass

from qmodel.api.serving import DType, KVCacheType


@dataclass(frozen=True, slots=True)
class Load:
    """Full use of one server."""

    context_length: int
    """Tokens of one sequence."""
    concurrency: int
    """Sequences."""
    kv_type: KVCacheType | None = None
    """Element type of keys and values; None: the engine's own."""
    dtype: DType = DType.AUTO
    """Type of the activations."""
    tensor_parallel_size: int = 1
    """GPUs that vLLM splits each layer over; 1: none is split."""
