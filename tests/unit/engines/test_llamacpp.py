from dataclasses import replace
from typing import Any

from qmodel.api.serving import KVCacheType
from qmodel.engines.llamacpp import LlamaCpp
from unit.engines.settings import SETTINGS, value


def argv(**changes: Any) -> list[str]:
    return LlamaCpp().server_argv(replace(SETTINGS, **changes))


def test_the_context_is_the_total_of_all_sequences() -> None:
    assert value(argv(), "--ctx-size") == "8192"
    assert value(argv(), "--parallel") == "2"


def test_a_quantized_cache_asks_for_flash_attention() -> None:
    assert value(argv(), "--flash-attn") == "auto"
    quantized = argv(kv_type=KVCacheType.Q8_0)
    assert value(quantized, "--flash-attn") == "on"
    assert value(quantized, "--cache-type-v") == "q8_0"


def test_nothing_grows_that_was_not_measured() -> None:
    flags = ("--cache-ram", "--ctx-checkpoints", "--fit")
    assert [value(argv(), flag) for flag in flags] == ["0", "0", "off"]


def test_the_users_arguments_come_last() -> None:
    assert argv(extra_args=("--temp", "0.2"))[-2:] == ["--temp", "0.2"]


def test_on_a_gpu_every_layer_is_offloaded() -> None:
    assert "--n-gpu-layers" not in argv()
    assert int(value(argv(gpus=1), "--n-gpu-layers")) > 200
