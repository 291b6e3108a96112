from qmodel.api.serving import KVCacheType
from qmodel.sizing.footprint import memory_limit_bytes, predict_peak_bytes
from qmodel.worker.task import KVLayout
from unit.sizing.values import LAYOUT, MIB, footprint

F16 = KVCacheType.F16


def test_the_measured_setting_predicts_itself() -> None:
    assert predict_peak_bytes(footprint(), LAYOUT, 4096, 1, F16) == 310 * MIB


def test_more_sequences_add_their_cache() -> None:
    assert predict_peak_bytes(footprint(), LAYOUT, 4096, 4, F16) == (310 + 3 * 90) * MIB


def test_a_longer_context_adds_cache_and_attention_mask() -> None:
    mask = 4096 * 512 * 2
    assert predict_peak_bytes(footprint(), LAYOUT, 8192, 1, F16) == (310 + 90) * MIB + mask


def test_where_the_layout_counts_too_much_less_is_taken_away() -> None:
    measured = footprint(kv_bytes=45 * MIB)
    shrunk = predict_peak_bytes(measured, LAYOUT, 2048, 1, F16)
    assert shrunk == 310 * MIB - 22.5 * MIB - 2048 * 512 * 2


def test_recurrent_state_is_one_a_sequence() -> None:
    layout = KVLayout(
        full_layers=6, recurrent_layers=24, kv_heads=3, key_head_dim=64, value_head_dim=64
    )
    measured = footprint(kv_bytes=(18 + 10) * MIB)
    assert predict_peak_bytes(measured, layout, 4096, 2, F16) == (310 + 18 + 10) * MIB


def test_the_limit_has_three_percent_and_32_mebibytes_of_margin() -> None:
    assert memory_limit_bytes(1000 * MIB) == (1000 + 30 + 32) * MIB
