"""Bytes of llama.cpp's KV cache, as its server prints them.

The rules are those of llama.cpp's `llama_context` (rounding of the context) and
`llama_kv_cache_iswa` (size of a sliding window's cache), with `--no-kv-unified`.
"""

from qmodel.api.serving import KVCacheType
from qmodel.worker.task import KVLayout

CELL_MULTIPLE = 256
"""Contexts and windows are rounded up to this many cells."""

_BLOCKS: dict[KVCacheType, tuple[int, int]] = {
    KVCacheType.F16: (1, 2),
    KVCacheType.BF16: (1, 2),
    KVCacheType.Q8_0: (32, 34),
    KVCacheType.Q4_0: (32, 18),
    KVCacheType.FP8: (1, 1),
}
"""Elements and bytes of one block (ggml-common.h)."""


def slot_cells(context_length: int, concurrency: int) -> int:
    """Return the cells that one sequence gets, in tokens."""
    total = _rounded(context_length * concurrency)
    return _rounded(total // concurrency)


def kv_cache_bytes(
    layout: KVLayout,
    context_length: int,
    concurrency: int,
    kv_type: KVCacheType,
    ubatch_tokens: int,
) -> int:
    """Return the bytes of the whole KV cache, by the parameters of `kv_bytes_by_kind`."""
    return sum(kv_bytes_by_kind(layout, context_length, concurrency, kv_type, ubatch_tokens))


def kv_bytes_by_kind(
    layout: KVLayout,
    context_length: int,
    concurrency: int,
    kv_type: KVCacheType,
    ubatch_tokens: int,
) -> list[int]:
    """Return the bytes of the cache of each of the layout's kinds of layers.

    Parameters
    ----------
    layout
        Layers and widths of the model.
    context_length
        Longest sequence, in tokens.
    concurrency
        Sequences at once.
    kv_type
        Element type of keys and values.
    ubatch_tokens
        Tokens computed at once: a sliding window must hold them beside itself.
    """
    cells = slot_cells(context_length, concurrency)
    window_cells = _rounded(min(cells, layout.window + min(ubatch_tokens, cells * concurrency)))
    return [
        (kind.full_layers * cells + kind.sliding_layers * window_cells)
        * concurrency
        * _cell_bytes(kind, kv_type)
        for kind in layout.kinds()
    ]


def kv_bytes_per_token(layout: KVLayout, kv_type: KVCacheType) -> int:
    """Return by how much the cache grows with one token of one sequence, in bytes."""
    return layout.full_layers * _cell_bytes(layout, kv_type)


def _cell_bytes(layout: KVLayout, kv_type: KVCacheType) -> int:
    """Return the bytes of one token's keys and values in one layer that is not sliding."""
    widths = (layout.key_head_dim, layout.value_head_dim)
    return sum(_row_bytes(layout.kv_heads * width, kv_type) for width in widths)


def _row_bytes(elements: int, kv_type: KVCacheType) -> int:
    """Return the bytes of one row, in whole blocks."""
    block_elements, block_bytes = _BLOCKS[kv_type]
    return -(-elements // block_elements) * block_bytes


def _rounded(cells: int) -> int:
    """Return cells rounded up as llama.cpp does."""
    return -(-cells // CELL_MULTIPLE) * CELL_MULTIPLE
