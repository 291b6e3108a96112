"""Over how many GPUs vLLM can split the layers of a model.

It splits heads, the inner width of feed-forward layers and the vocabulary, and refuses to start
where one of them does not come out even (layers/linear.py, layers/vocab_parallel_embedding.py).
"""

from qmodel.worker.report import Inspection

MOST_GPUS = 16
"""What spec lets a server have."""
_VOCABULARY_MULTIPLE = 64
"""Vocabularies are padded to it before they are split."""


def obstacle(source: Inspection, gpus: int) -> str | None:
    """Return what of the model cannot be split over so many GPUs, in words; None if all can."""
    heads = source.attention_heads or 0
    if heads % gpus:
        return f"{heads} attention heads"
    kv_heads = source.kv.kv_heads
    # Fewer heads than GPUs are repeated, each as often; so is a latent, which counts as one head.
    if kv_heads and kv_heads % gpus and gpus % kv_heads:
        return f"{kv_heads} key-value heads"
    # Narrower rows than the hidden size may belong to factors of low rank, which are not split.
    inner = (width for width in source.linear_widths if width > source.hidden_size)
    odd = next((width for width in inner if width % gpus), None)
    if odd is not None:
        return f"the input width {odd}"
    padded = -(-source.vocabulary_size // _VOCABULARY_MULTIPLE) * _VOCABULARY_MULTIPLE
    return f"a vocabulary of {padded} tokens" if padded % gpus else None


def fitting(source: Inspection) -> list[int]:
    """Return the numbers of GPUs that the model can be split over."""
    return [gpus for gpus in range(1, MOST_GPUS + 1) if obstacle(source, gpus) is None]
