import pytest

from qmodel.sizing.llamacpp import LlamaCppMemory
from qmodel.sizing.load import Load
from qmodel.sizing.margin import memory_limit_bytes
from qmodel.worker.report import Footprint
from qmodel.worker.task import KVLayout
from unit.sizing.values import HYBRIDS, INSPECTION, MIB, footprint

predict_peak_bytes = LlamaCppMemory().predict_peak_bytes

HYBRID_NAMES, HYBRID = list(HYBRIDS), list(HYBRIDS.values())
LOADS = (Load(512, 1), Load(1024, 8), Load(4096, 1), Load(4096, 4), Load(32_768, 1))


def cache(layout: KVLayout, load: Load) -> int:
    """Return the cache as llama.cpp allocates it, where contexts are multiples of 256."""
    window = min(load.context_length, layout.window + 512)
    heads = layout.sliding_kv_heads or layout.kv_heads
    width = layout.sliding_key_head_dim or layout.key_head_dim
    full = layout.full_layers * load.context_length * layout.kv_heads * layout.key_head_dim
    sliding = layout.sliding_layers * window * heads * width
    return 2 * 2 * load.concurrency * (full + sliding)


def by_the_widest(layout: KVLayout) -> KVLayout:
    """Return a layout as it was stored before windows had widths of their own."""
    heads = max(layout.kv_heads, layout.sliding_kv_heads or 0)
    width = max(layout.key_head_dim, layout.sliding_key_head_dim or 0)
    return KVLayout(
        full_layers=layout.full_layers,
        sliding_layers=layout.sliding_layers,
        window=layout.window,
        kv_heads=heads,
        key_head_dim=width,
        value_head_dim=width,
    )


def at(load: Load, kv_bytes: int) -> Footprint:
    """Return what was measured with a load: 8 GiB beside the cache."""
    return footprint(
        context_length=load.context_length,
        concurrency=load.concurrency,
        kv_bytes=kv_bytes,
        peak_bytes=8192 * MIB + kv_bytes,
    )


def mask(load: Load) -> int:
    """Return the attention mask of 512 tokens."""
    return load.context_length * 512 * 2


def test_the_measured_setting_predicts_itself() -> None:
    assert predict_peak_bytes(footprint(), INSPECTION, Load(4096, 1)) == 310 * MIB


def test_more_sequences_add_their_cache() -> None:
    sampling = 3 * INSPECTION.vocabulary_size * 32
    found = predict_peak_bytes(footprint(), INSPECTION, Load(4096, 4))
    assert found == (310 + 3 * 90) * MIB + sampling


def test_fewer_sequences_take_away_no_more_than_their_cache() -> None:
    measured = footprint(concurrency=4, kv_bytes=360 * MIB, peak_bytes=580 * MIB)
    assert predict_peak_bytes(measured, INSPECTION, Load(4096, 1)) == (580 - 3 * 90) * MIB


def test_what_was_measured_elsewhere_is_predicted_closely() -> None:
    small = footprint(context_length=512, kv_bytes=int(11.25 * MIB), peak_bytes=int(179.6 * MIB))
    for context_length, concurrency, measured_mib in [(2048, 1, 217.2), (2048, 4, 356.2)]:
        found = predict_peak_bytes(small, INSPECTION, Load(context_length, concurrency)) / MIB
        assert abs(found / measured_mib - 1) < 0.015
        assert measured_mib < memory_limit_bytes(int(found * MIB)) / MIB


def test_a_longer_context_adds_cache_and_attention_mask() -> None:
    mask = 4096 * 512 * 2
    assert predict_peak_bytes(footprint(), INSPECTION, Load(8192, 1)) == (310 + 90) * MIB + mask


def test_where_the_layout_counts_too_much_less_is_taken_away() -> None:
    measured = footprint(kv_bytes=45 * MIB)
    shrunk = predict_peak_bytes(measured, INSPECTION, Load(2048, 1))
    assert shrunk == 310 * MIB - 22.5 * MIB - 2048 * 512 * 2


def test_recurrent_state_is_one_a_sequence() -> None:
    layout = KVLayout(
        full_layers=6, recurrent_layers=24, kv_heads=3, key_head_dim=64, value_head_dim=64
    )
    measured = footprint(kv_bytes=(18 + 10) * MIB)
    inspection = INSPECTION.model_copy(update={"kv": layout, "vocabulary_size": 1})
    found = predict_peak_bytes(measured, inspection, Load(4096, 2))
    assert found == (310 + 18 + 10) * MIB + 32


@pytest.mark.parametrize("want", LOADS, ids=str)
@pytest.mark.parametrize("measured", LOADS, ids=str)
@pytest.mark.parametrize("layout", HYBRID, ids=HYBRID_NAMES)
def test_each_kind_of_layers_grows_by_itself(layout: KVLayout, measured: Load, want: Load) -> None:
    """What is carried from any load to any other is the cache that the server takes."""
    inspection = INSPECTION.model_copy(update={"kv": layout, "vocabulary_size": 1})
    assert LlamaCppMemory().kv_bytes(inspection, want) == cache(layout, want)
    predicted = predict_peak_bytes(at(measured, cache(layout, measured)), inspection, want)
    rest = 8192 * MIB + mask(want) - mask(measured)
    found = predicted - rest - 32 * max(0, want.concurrency - measured.concurrency)
    assert cache(layout, want) <= found <= 1.0001 * cache(layout, want)


@pytest.mark.parametrize("want", LOADS, ids=str)
@pytest.mark.parametrize("measured", LOADS, ids=str)
@pytest.mark.parametrize("layout", HYBRID, ids=HYBRID_NAMES)
def test_a_status_without_the_windows_widths_is_no_less(
    layout: KVLayout, measured: Load, want: Load
) -> None:
    """It holds the largest widths for both kinds, of which the server took less."""
    inspection = INSPECTION.model_copy(update={"kv": by_the_widest(layout), "vocabulary_size": 1})
    predicted = predict_peak_bytes(at(measured, cache(layout, measured)), inspection, want)
    rest = 8192 * MIB + mask(want) - mask(measured)
    assert predicted - rest >= cache(layout, want)


def test_on_a_gpu_cache_and_mask_are_the_devices() -> None:
    """SmolLM2-135M Q4_1 on an H200: what the device held, in MiB (`make bench-gpu`)."""
    measured = footprint(
        context_length=1024, kv_bytes=int(22.5 * MIB), peak_bytes=241 * MIB, device_bytes=737 * MIB
    )
    for context_length, concurrency, device_mib, host_mib in [
        (4096, 1, 807, 245),
        (2048, 4, 895, 248),
        (1024, 16, 1073, 267),
    ]:
        load = Load(context_length, concurrency)
        device = LlamaCppMemory().predict_device_bytes(measured, INSPECTION, load)
        assert abs(device / MIB / device_mib - 1) < 0.002
        host = predict_peak_bytes(measured, INSPECTION, load)
        assert abs(host / MIB / host_mib - 1) < 0.02
        assert host_mib < memory_limit_bytes(host) / MIB


def test_without_a_gpu_no_device_is_sized() -> None:
    assert LlamaCppMemory().predict_device_bytes(footprint(), INSPECTION, Load(8192, 2)) == 0


def test_the_limit_has_three_percent_and_32_mebibytes_of_margin() -> None:
    assert memory_limit_bytes(1000 * MIB) == (1000 + 30 + 32) * MIB


def test_a_gpu_takes_host_memory_beside_what_is_estimated_without() -> None:
    """SmolLM2-135M, Q4_1 of 94 MB, at 1 x 1024 tokens on an H200: 241 MiB of the host."""
    estimate = LlamaCppMemory().estimate_peak_bytes(INSPECTION, 94_000_000, Load(1024, 1), 1)
    assert 241 * MIB < memory_limit_bytes(estimate) < 1.3 * 241 * MIB


def test_the_estimate_of_a_gpu_holds_what_was_measured() -> None:
    """The same model there: 737, 807, 895 and 1073 MiB of the device."""
    loads = (Load(1024, 1), Load(4096, 1), Load(2048, 4), Load(1024, 16))
    for load, found in zip(loads, (737, 807, 895, 1073), strict=True):
        estimate = LlamaCppMemory().estimate_device_bytes(INSPECTION, 94_000_000, load, 1)
        assert found * MIB < estimate < 1.1 * found * MIB
