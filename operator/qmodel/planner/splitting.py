"""Over how many GPUs vLLM can split the layers of a model.

It splits heads, the inner width of feed-forward layers and the vocabulary, and refuses to start
where one of them does not come out even (layers/linear.py, layers/vocab_parallel_embedding.py), or
where a GPU's share of a packed row is no whole number of groups.
"""

from collections.abc import Iterator

from qmodel.planner.hardware import Hardware
from qmodel.planner.kernels import ENGINE_CANNOT_LOAD
from qmodel.planner.problem import Problem
from qmodel.worker.report import Inspection

_MOST_GPUS = 16
"""What spec lets a server have."""
_VOCABULARY_MULTIPLE = 64
"""Vocabularies are padded to it before they are split."""


def problem(source: Inspection, device: Hardware, group_size: int = 1) -> Problem | None:
    """Return why vLLM cannot split the model over the GPUs, and how many would do.

    Parameters
    ----------
    source
        What the headers of the model say.
    device
        What is known of the hardware.
    group_size
        Weights of a row that share a scale, where they are packed already.
    """
    gpus = device.tensor_parallel_size
    odd = _obstacle(source, gpus, group_size)
    if odd is None:
        return None
    numbers = range(1, _MOST_GPUS + 1)
    *others, last = (str(n) for n in numbers if _obstacle(source, n, group_size) is None)
    able = f"{', '.join(others)} or {last}" if others else last
    return ENGINE_CANNOT_LOAD, (
        f"vLLM splits every layer, but the model has {odd}, which {gpus} GPUs cannot share: set"
        f" spec.accelerator.count {able}, or one of these as spec.serving.tensorParallelSize,"
        " beyond which GPUs stay idle"
    )


def _obstacle(source: Inspection, gpus: int, group_size: int) -> str | None:
    """Return what of the model cannot be split over so many GPUs, in words; None if all can."""
    heads = source.attention_heads or 0
    if heads % gpus:
        return f"{heads} attention heads"
    # Fewer heads than GPUs are repeated, each as often; so is a latent, which counts as one head.
    for kv_heads in (kind.kv_heads for kind in source.kv.kinds()):
        if kv_heads and kv_heads % gpus and gpus % kv_heads:
            return f"{kv_heads} key-value heads"
    for width in _split_widths(source):
        if width % gpus:
            return f"the input width {width}"
        if width % group_size == 0 and width // gpus % group_size:
            return f"the input width {width} in groups of {group_size}"
    padded = -(-source.vocabulary_size // _VOCABULARY_MULTIPLE) * _VOCABULARY_MULTIPLE
    return f"a vocabulary of {padded} tokens" if padded % gpus else None


def _split_widths(source: Inspection) -> Iterator[int]:
    """Yield the input widths that are surely split: feed-forward layers', and attention's output.

    Widths below the hidden size may be those of factors of low rank, which stay whole.
    """
    yield from (width for width in source.linear_widths if width > source.hidden_size)
    values = (kind.value_head_dim for kind in source.kv.kinds())
    yield from ((source.attention_heads or 0) * width for width in values if width)
