import pytest

from qmodel.api.serving import DType, KVCacheType
from qmodel.sizing.load import Load
from qmodel.sizing.margin import memory_limit_bytes
from qmodel.sizing.vllm import VLLMMemory
from qmodel.worker.task import KVLayout
from unit.sizing.values import HYBRIDS, INSPECTION, MIB, footprint

MEMORY = VLLMMemory()
BLOCK = 128 * 23_040
"""128 tokens of SmolLM2's 30 layers, 3 heads of 64, keys and values of 2 bytes."""

ON_H200 = {Load(1024, 1): 1181, Load(4096, 1): 1275, Load(2048, 4): 1367}
"""MiB of the device that SmolLM2-135M took, by load (docs/sizing.md)."""


def test_the_cache_holds_every_sequence_in_whole_blocks_and_one_that_vllm_keeps() -> None:
    assert MEMORY.kv_bytes(INSPECTION, Load(1024, 2)) == (2 * 8 + 1) * BLOCK
    assert MEMORY.kv_bytes(INSPECTION, Load(1025, 2)) == (2 * 9 + 1) * BLOCK


def test_the_cache_follows_its_type_and_that_of_the_activations() -> None:
    whole = MEMORY.kv_bytes(INSPECTION, Load(1024, 2))
    assert MEMORY.kv_bytes(INSPECTION, Load(1024, 2, KVCacheType.FP8)) == whole // 2
    assert MEMORY.kv_bytes(INSPECTION, Load(1024, 2, dtype=DType.FLOAT32)) == whole * 2


@pytest.mark.parametrize(
    ("kv_heads", "devices", "held"), [(8, 2, 4), (8, 8, 1), (2, 4, 1), (1, 8, 1), (9, 3, 3)]
)
def test_a_gpu_holds_its_share_of_the_heads_and_one_at_least(
    kv_heads: int, devices: int, held: int
) -> None:
    layout = INSPECTION.kv.model_copy(update={"kv_heads": kv_heads})
    inspection = INSPECTION.model_copy(update={"kv": layout})
    load = Load(1024, 2, tensor_parallel_size=devices)
    assert MEMORY.kv_bytes(inspection, load) == devices * (2 * 8 + 1) * BLOCK // 3 * held


def test_every_gpu_holds_the_whole_latent() -> None:
    """DeepSeek V3: 61 layers that keep 512 + 64 elements of a token for all heads together."""
    latent = KVLayout(full_layers=61, kv_heads=1, key_head_dim=576, value_head_dim=0)
    inspection = INSPECTION.model_copy(update={"kv": latent, "context_length": 163_840})
    eight = Load(4096, 4, tensor_parallel_size=8)
    assert MEMORY.kv_bytes(inspection, eight) == 8 * 1_160_331_264
    one = MEMORY.estimate_device_bytes(inspection, 0, Load(4096, 4), 1)
    assert MEMORY.estimate_device_bytes(inspection, 0, eight, 8) == 8 * one


def test_growth_on_several_gpus_is_that_of_each() -> None:
    layout = INSPECTION.kv.model_copy(update={"kv_heads": 1})
    inspection = INSPECTION.model_copy(update={"kv": layout})
    small, large = Load(512, 1, tensor_parallel_size=2), Load(2048, 64, tensor_parallel_size=2)
    measured = footprint(
        context_length=512,
        kv_bytes=MEMORY.kv_bytes(inspection, small),
        compute_bytes=0,
        device_bytes=1000 * MIB,
    )
    cache = MEMORY.kv_bytes(inspection, large) - measured.kv_bytes
    batch = (2048 - 512) * 576 * 60 * 2
    drawing = (64 - 1) * 49_152 * 64
    grown = MEMORY.predict_device_bytes(measured, inspection, large) - 1000 * MIB
    assert grown == cache + 2 * max(batch, drawing)


@pytest.mark.parametrize("sliding_layers", [0, 15])
def test_positions_that_are_not_served_take_tables_all_the_same(sliding_layers: int) -> None:
    """Sines and cosines of a million positions, 64 wide: one table a kind of layers."""
    layout = INSPECTION.kv.model_copy(update={"sliding_layers": sliding_layers, "window": 512})
    short = INSPECTION.model_copy(update={"kv": layout, "context_length": 4096})
    long = short.model_copy(update={"context_length": 2**20})
    table = (2**20 - 4096) * 64 * 2 * (2 if sliding_layers else 1)
    host = [MEMORY.estimate_peak_bytes(each, 0, Load(4096, 1), 0) for each in (short, long)]
    assert host[1] - host[0] == table
    two = Load(4096, 1, tensor_parallel_size=2)
    on_gpus = [MEMORY.estimate_device_bytes(each, 0, two, 2) for each in (short, long)]
    assert on_gpus[1] - on_gpus[0] == 2 * table
    measured = footprint(kv_bytes=MEMORY.kv_bytes(long, Load(4096, 1)), peak_bytes=2000 * MIB)
    assert MEMORY.predict_peak_bytes(measured, long, Load(4096, 1)) == 2000 * MIB


def test_sliding_windows_share_blocks_with_full_layers() -> None:
    """Gemma 3 270M: 3 full and 15 sliding layers make groups of 3, six of them."""
    layout = KVLayout(
        full_layers=3,
        sliding_layers=15,
        window=512,
        kv_heads=1,
        key_head_dim=256,
        value_head_dim=256,
    )
    inspection = INSPECTION.model_copy(update={"kv": layout})
    block = 128 * 3 * 2 * 256 * 2
    held = 512 - 1 + 2 * 2048
    sliding = -(-held // 128) + 1
    expected = (4 * (64 + 5 * sliding) + 1) * block
    assert MEMORY.kv_bytes(inspection, Load(8192, 4)) == expected


@pytest.mark.parametrize(
    ("name", "page", "full_tokens", "window_tokens", "groups"),
    [
        ("gemma 3 4b", 5 * 128 * 4 * 256 * 4, 128, 128, 6),
        ("gemma 4 e4b", 4 * 128 * 2 * 512 * 4, 128, 256, 5),
        ("gemma 4 12b", 8 * 128 * 8 * 256 * 4, 512, 128, 5),
    ],
)
@pytest.mark.parametrize("load", [Load(1024, 8), Load(4096, 4), Load(32_768, 1)], ids=str)
def test_narrow_layers_keep_more_tokens_in_a_block(
    load: Load, name: str, page: int, full_tokens: int, window_tokens: int, groups: int
) -> None:
    """As vLLM's unify_kv_cache_spec_page_size and SlidingWindowSpec have it."""
    layout = HYBRIDS[name]
    held = min(layout.window - 1 + 2 * 2048, load.context_length)
    full, window = -(-load.context_length // full_tokens), -(-held // window_tokens) + 1
    inspection = INSPECTION.model_copy(update={"kv": layout})
    expected = (load.concurrency * (full + groups * window) + 1) * page
    assert MEMORY.kv_bytes(inspection, load) == expected


def test_layers_that_fill_no_whole_part_of_a_block_are_padded() -> None:
    layout = HYBRIDS["gemma 4 e4b"].model_copy(update={"sliding_kv_heads": 3})
    inspection = INSPECTION.model_copy(update={"kv": layout})
    sequence = 1024 // 128 + 5 * (1024 // 128 + 1)
    assert MEMORY.kv_bytes(inspection, Load(1024, 1)) == (sequence + 1) * 4 * 128 * 2 * 512 * 4


def test_a_gpu_shares_out_the_heads_of_each_kind() -> None:
    """Gemma 4 12B on 8 GPUs: one head of 512 for full layers, repeated, and one of 256 of eight."""
    inspection = INSPECTION.model_copy(update={"kv": HYBRIDS["gemma 4 12b"]})
    sequence = 4096 // 128 + 5 * (4096 // 256 + 1)
    page = 8 * 128 * 512 * 4
    load = Load(4096, 2, tensor_parallel_size=8)
    assert MEMORY.kv_bytes(inspection, load) == 8 * (2 * sequence + 1) * page


def test_kinds_of_about_as_many_layers_are_padded_to_one_group() -> None:
    layout = KVLayout(
        full_layers=13,
        sliding_layers=12,
        window=128,
        kv_heads=8,
        key_head_dim=64,
        value_head_dim=64,
    )
    inspection = INSPECTION.model_copy(update={"kv": layout})
    block = 128 * 13 * 8 * 2 * 64 * 2
    assert MEMORY.kv_bytes(inspection, Load(128, 1)) == (1 + 2 + 1) * block


def test_the_measured_setting_predicts_itself() -> None:
    load = Load(4096, 1)
    measured = footprint(kv_bytes=MEMORY.kv_bytes(INSPECTION, load), peak_bytes=2000 * MIB)
    assert MEMORY.predict_peak_bytes(measured, INSPECTION, load) == 2000 * MIB


def test_a_batch_that_was_not_filled_adds_its_activations() -> None:
    small = Load(512, 1)
    measured = footprint(
        context_length=512,
        kv_bytes=MEMORY.kv_bytes(INSPECTION, small),
        peak_bytes=2000 * MIB,
    )
    more = MEMORY.predict_peak_bytes(measured, INSPECTION, Load(512, 8)) - 2000 * MIB
    cache = 7 * 4 * BLOCK
    assert more - cache == (2048 - 512) * 576 * 60 * 2
    fewer = MEMORY.predict_peak_bytes(measured, INSPECTION, Load(256, 1))
    assert fewer == 2000 * MIB - 2 * BLOCK


def test_many_sequences_take_more_to_draw_from_than_to_compute() -> None:
    """SmolLM2 of 3 layers, 256 tokens each: 66 MiB with 16 sequences, 183 MiB with 64."""
    layout = INSPECTION.kv.model_copy(update={"full_layers": 3})
    three_layers = INSPECTION.model_copy(update={"kv": layout})
    load = Load(256, 64)
    measured = footprint(
        context_length=256,
        concurrency=16,
        kv_bytes=MEMORY.kv_bytes(three_layers, Load(256, 16)),
        compute_bytes=66 * MIB,
        peak_bytes=1572 * MIB,
    )
    predicted = MEMORY.predict_peak_bytes(measured, three_layers, load)
    assert 1717 * MIB < predicted < 1.02 * 1717 * MIB
    at_least = MEMORY.kv_bytes(three_layers, load) + 183 * MIB
    assert MEMORY.estimate_peak_bytes(three_layers, 0, load, 0) > at_least


def test_on_a_gpu_the_hosts_share_stays() -> None:
    measured = footprint(device_bytes=900 * MIB, peak_bytes=3000 * MIB)
    load = Load(8192, 9)
    assert MEMORY.predict_peak_bytes(measured, INSPECTION, load) == 3000 * MIB
    cache = MEMORY.kv_bytes(INSPECTION, load) - measured.kv_bytes
    assert MEMORY.predict_device_bytes(measured, INSPECTION, load) == 900 * MIB + cache


def test_the_estimate_holds_what_was_measured() -> None:
    """SmolLM2-135M at 2 x 1024 tokens on a CPU: 1372 MiB, or 1552 with weights that are packed."""
    estimate = MEMORY.estimate_peak_bytes(INSPECTION, 269_062_936, Load(1024, 2), 0)
    assert 1552 * MIB < memory_limit_bytes(estimate) < 1.3 * 1552 * MIB


def test_weights_that_no_kernel_takes_are_estimated_unpacked() -> None:
    """A file of 4 bits is a quarter of what the weights then take."""
    packed, plain = INSPECTION.parameters // 2, 2 * INSPECTION.parameters
    load = Load(1024, 2)
    small = MEMORY.estimate_peak_bytes(INSPECTION, packed, load, 0)
    nothing = MEMORY.estimate_peak_bytes(
        INSPECTION.model_copy(update={"parameters": 0}), 0, load, 0
    )
    assert small - nothing == plain


def test_on_a_gpu_the_host_is_estimated_without_cache_and_activations() -> None:
    """2054, 2033 and 2042 MiB of the host there."""
    for load in ON_H200:
        estimate = MEMORY.estimate_peak_bytes(INSPECTION, 269_062_936, load, 1)
        assert 2054 * MIB < memory_limit_bytes(estimate) < 1.2 * 2054 * MIB


def test_the_estimate_of_a_gpu_holds_what_was_measured() -> None:
    for load, found in ON_H200.items():
        estimate = MEMORY.estimate_device_bytes(INSPECTION, 269_062_936, load, 1)
        assert found * MIB < estimate < 1.1 * found * MIB


def test_large_weights_lie_on_a_gpu_once() -> None:
    estimate = MEMORY.estimate_device_bytes(INSPECTION, 2**34, Load(1024, 1), 1)
    assert estimate < 1.1 * 2**34


def test_a_gpus_growth_is_carried_from_one_setting() -> None:
    small, *others = ON_H200
    first = footprint(
        context_length=small.context_length,
        concurrency=small.concurrency,
        kv_bytes=MEMORY.kv_bytes(INSPECTION, small),
        compute_bytes=889 * MIB,
        device_bytes=ON_H200[small] * MIB,
    )
    for load in others:
        found = ON_H200[load]
        predicted = MEMORY.predict_device_bytes(first, INSPECTION, load)
        assert found * MIB < predicted < 1.04 * found * MIB
