"""Memory that steps take, for the requests of their Jobs; pure arithmetic.

Mapped files count towards a container's limit only as long as the kernel likes: `resident` bytes
must fit, `mapped` bytes make it fast when they fit too.
"""

from dataclasses import dataclass

MEBIBYTE = 2**20
EVALUATE_PROCESS_BYTES = 160 * MEBIBYTE
"""Interpreter, libraries, double-precision rows and graph of two small models, measured."""
EVALUATE_BATCH_TOKENS = 128
EVALUATE_CELLS = 2048
QUANTIZE_PROCESS_BYTES = 1024 * MEBIBYTE
"""The converter with torch, transformers and a tokenizer, measured, and slabs of rows."""


@dataclass(frozen=True)
class StepMemory:
    """What a step needs."""

    resident: int
    """Bytes that cannot be taken back: the least limit."""
    mapped: int
    """Bytes of files that are read again and again."""


def evaluate_memory(
    base_bytes: int, artifact_bytes: int, vocabulary_size: int, kv_bytes_per_token: int
) -> StepMemory:
    """Return the need of `evaluate`.

    Parameters
    ----------
    base_bytes, artifact_bytes
        Weights of the unquantized and of the quantized model.
    vocabulary_size
        Each model holds the logits of one batch in single precision.
    kv_bytes_per_token
        KV bytes of one token in 16 bits; each model holds EVALUATE_CELLS cells.
    """
    logits = 2 * EVALUATE_BATCH_TOKENS * vocabulary_size * 4
    cells = 2 * EVALUATE_CELLS * kv_bytes_per_token
    return StepMemory(artifact_bytes + logits + cells + EVALUATE_PROCESS_BYTES, base_bytes)


def quantize_memory(base_bytes: int, largest_tensor_bytes: int) -> StepMemory:
    """Return the need of `quantize`, the importance matrix included.

    Parameters
    ----------
    base_bytes
        Weights of the unquantized model.
    largest_tensor_bytes
        The converter holds one tensor at a time, in two forms at worst.
    """
    return StepMemory(2 * largest_tensor_bytes + QUANTIZE_PROCESS_BYTES, base_bytes)
