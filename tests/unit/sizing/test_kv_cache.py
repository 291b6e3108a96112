import pytest

from qmodel.api.serving import KVCacheType
from qmodel.sizing.kv_cache import kv_bytes_per_token, kv_cache_bytes, slot_cells
from qmodel.worker.task import KVLayout

MIB = 2**20
SMOLLM2 = KVLayout(full_layers=30, kv_heads=3, key_head_dim=64, value_head_dim=64)
GEMMA = KVLayout(
    full_layers=3, sliding_layers=15, window=512, kv_heads=1, key_head_dim=256, value_head_dim=256
)


@pytest.mark.parametrize(
    ("context_length", "concurrency", "cells"),
    [
        (4096, 1, 4096),
        (4096, 4, 4096),
        (300, 1, 512),
        (1000, 3, 1024),  # 3000 becomes 3072, a third of it 1024
        (1025, 2, 1280),  # 2050 becomes 2304, half of it 1152, rounded up again
    ],
)
def test_contexts_are_rounded_as_llama_cpp_does(
    context_length: int, concurrency: int, cells: int
) -> None:
    assert slot_cells(context_length, concurrency) == cells


@pytest.mark.parametrize(
    ("context_length", "concurrency", "kv_type", "mebibytes"),
    [
        (4096, 1, KVCacheType.F16, 90),
        (4096, 4, KVCacheType.F16, 360),
        (4096, 1, KVCacheType.BF16, 90),
        (4096, 1, KVCacheType.Q8_0, 47.8125),
        (4096, 1, KVCacheType.Q4_0, 25.3125),
    ],
)
def test_full_attention(
    context_length: int, concurrency: int, kv_type: KVCacheType, mebibytes: float
) -> None:
    found = kv_cache_bytes(SMOLLM2, context_length, concurrency, kv_type, 512)
    assert found == mebibytes * MIB


def test_a_sliding_window_holds_one_ubatch_beside_itself() -> None:
    full = 3 * 8192 * 1024
    sliding = 15 * (512 + 512) * 1024
    assert kv_cache_bytes(GEMMA, 8192, 1, KVCacheType.F16, 512) == full + sliding


def test_a_sliding_window_is_never_larger_than_the_context() -> None:
    assert kv_cache_bytes(GEMMA, 512, 1, KVCacheType.F16, 512) == 18 * 512 * 1024


def test_a_sliding_window_is_one_a_sequence() -> None:
    one = kv_cache_bytes(GEMMA, 8192, 1, KVCacheType.F16, 512)
    assert kv_cache_bytes(GEMMA, 8192, 4, KVCacheType.F16, 512) == 4 * one


def test_only_full_layers_grow_with_the_context() -> None:
    assert kv_bytes_per_token(SMOLLM2, KVCacheType.F16) == 30 * 2 * 3 * 64 * 2
    assert kv_bytes_per_token(GEMMA, KVCacheType.F16) == 3 * 2 * 256 * 2
