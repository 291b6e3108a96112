from typing import Any

from qmodel.api.serving import KVCacheType
from qmodel.engines.llamacpp import arguments_hash, server_argv


def argv(**changes: Any) -> list[str]:
    settings: dict[str, Any] = {
        "model_path": "/artifacts/r/model.gguf",
        "alias": "smollm2",
        "context_length": 4096,
        "concurrency": 2,
        "kv_type": KVCacheType.F16,
        "gpu_layers": 0,
        "threads": 2,
        "extra_args": [],
    }
    return server_argv(**(settings | changes))


def value(found: list[str], flag: str) -> str:
    return found[found.index(flag) + 1]


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
    assert argv(extra_args=["--temp", "0.2"])[-2:] == ["--temp", "0.2"]


def test_a_measurement_holds_for_other_contexts_but_not_for_other_types() -> None:
    settings: dict[str, Any] = {
        "image": "qmodel/llamacpp:1",
        "kv_type": KVCacheType.F16,
        "gpu_layers": 0,
        "threads": 2,
        "extra_args": [],
    }
    first = arguments_hash(**settings)
    assert first == arguments_hash(**settings)
    assert first != arguments_hash(**(settings | {"kv_type": KVCacheType.Q8_0}))
    assert first != arguments_hash(**(settings | {"image": "qmodel/llamacpp:2"}))
