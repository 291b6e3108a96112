from dataclasses import replace
from pathlib import Path
from typing import Any

from qmodel.api.serving import Engine, KVCacheType
from qmodel.engines import ENGINES
from unit.engines.settings import SETTINGS, value

FLAGS = Path(__file__).with_name("data").joinpath("vllm-0.32.0-flags.txt").read_text().split()
"""Every option string of the pinned version's parser."""

SERVER = ENGINES[Engine.VLLM]


def argv(**changes: Any) -> list[str]:
    return SERVER.server_argv(replace(SETTINGS, **changes))


def test_memory_is_said_in_bytes_and_never_as_a_share() -> None:
    found = argv()
    assert value(found, "--kv-cache-memory-bytes") == "191692800"
    assert value(found, "--max-num-batched-tokens") == "2048"
    assert "--gpu-memory-utilization" not in found


def test_the_context_is_that_of_one_sequence() -> None:
    assert value(argv(), "--max-model-len") == "4096"
    assert value(argv(), "--max-num-seqs") == "2"


def test_every_flag_of_ours_is_one_of_the_pinned_version() -> None:
    used = argv(kv_type=KVCacheType.FP8) + argv(gpus=2, tensor_parallel_size=2)
    assert {word for word in used if word.startswith("--")} <= set(FLAGS)


def test_another_size_changes_three_values_only() -> None:
    found = argv(extra_args=("--seed", "1"))
    sizes = {"context_length": 512, "concurrency": 8, "kv_bytes": 97}
    changed = SERVER.resized(found, **sizes)
    assert changed == argv(extra_args=("--seed", "1"), **sizes)


def test_each_gpu_is_told_its_share_of_the_cache() -> None:
    found = argv(gpus=2, tensor_parallel_size=2)
    assert value(found, "--tensor-parallel-size") == "2"
    assert value(found, "--kv-cache-memory-bytes") == "95846400"
    changed = SERVER.resized(found, context_length=512, concurrency=8, kv_bytes=100)
    assert value(changed, "--kv-cache-memory-bytes") == "50"


def test_on_a_cpu_threads_are_told_and_bound_to_no_core() -> None:
    found = SERVER.environment(SETTINGS)
    assert found["OMP_NUM_THREADS"] == "2"
    assert found["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    assert "OMP_NUM_THREADS" not in SERVER.environment(replace(SETTINGS, gpus=1))


def test_on_a_cpu_the_engine_core_computes_by_itself() -> None:
    executor = value(argv(), "--distributed-executor-backend")
    assert executor.endswith(".UniProcExecutor")
    assert "--distributed-executor-backend" not in argv(gpus=2, tensor_parallel_size=2)


def test_on_a_cpu_the_image_tells_what_a_class_can_do() -> None:
    dockerfile = Path(__file__).parents[3] / "images" / "vllm" / "Dockerfile"
    root = SERVER.environment(SETTINGS)["VLLM_CACHE_ROOT"]
    assert f"VLLM_CACHE_ROOT={root} " in dockerfile.read_text()
    assert SERVER.environment(replace(SETTINGS, gpus=1))["VLLM_CACHE_ROOT"] == "/tmp/vllm"
