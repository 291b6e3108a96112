"""Every method runs in the image of its library, is judged where it can be, and served."""

from typing import Any

import pytest

from qmodel.api.conditions import ConditionType
from qmodel.api.quantization import Quantization
from qmodel.planner.observed import Node
from qmodel.planner.recipes import recipe
from qmodel.planner.wishes import Accelerators
from qmodel.worker.task import MeasureTask, QuantizeTask
from unit.planner.values import model
from unit.planner.world import World
from unit.sizing.values import INSPECTION, MIB, footprint

METHODS = [
    ({"method": "GGUF"}, "llamacpp-worker:1", "llamacpp-worker:1", "LlamaCpp"),
    ({"method": "AWQ", "awq": {"groupSize": 64}}, "quantizer:1", "quantizer:1", "VLLM"),
    ({"method": "GPTQ", "gptq": {"groupSize": 64}}, "quantizer:1", "quantizer:1", "VLLM"),
    ({"method": "FP8"}, "quantizer:1", "quantizer:1", "VLLM"),
    ({"method": "INT8"}, "quantizer:1", "quantizer:1", "VLLM"),
    ({"method": "BitsAndBytes"}, "quantizer:1", "quantizer:1", "VLLM"),
    (
        {"method": "AWQ", "backend": "AutoAWQ", "awq": {"groupSize": 64}},
        "autoawq:1",
        "quantizer:1",
        "VLLM",
    ),
]
GPU = Node("gpu", {}, {"nvidia.com/gpu": "1"})


def ready(quantization: dict[str, Any], **more: Any) -> World:
    """Return a world whose model was quantized this way and serves."""
    world = World(model(quantization=quantization, **more))
    world.run()
    assert world.status.stage == "Ready"
    return world


@pytest.mark.parametrize(("quantization", "making", "judging", "engine"), METHODS)
def test_each_library_has_its_image(
    quantization: dict[str, Any], making: str, judging: str, engine: str
) -> None:
    world = World(model(quantization=quantization))
    for step in ("inspect", "fetch"):
        world.settle()
        world.complete(step)
    containers = world.wish("quantize").containers
    assert [each.image for each in containers] == [making, judging]
    world.run()
    assert world.status.stage == "Ready"
    assert world.status.engine == engine


def test_vllm_measures_what_it_will_serve() -> None:
    world = World(model(quantization={"method": "FP8"}))
    for step in ("inspect", "fetch", "quantize"):
        world.settle()
        world.complete(step)
    want = world.wish("measure")
    task = want.containers[0].task
    assert isinstance(task, MeasureTask)
    assert want.containers[0].image == "vllm:1"
    assert want.shared_memory_bytes > 0
    world.run()
    rollout = world.status.rollout
    assert rollout is not None
    assert rollout.argv == task.argv
    assert rollout.engine_env == want.engine_env


def test_the_recipe_reaches_the_worker_with_every_default() -> None:
    world = World(model(quantization={"method": "GPTQ", "gptq": {"groupSize": 64}}))
    for step in ("inspect", "fetch"):
        world.settle()
        world.complete(step)
    task = world.wish("quantize").containers[0].task
    assert isinstance(task, QuantizeTask)
    wire = task.recipe.to_wire()
    assert wire["gptq"] == {"bits": 4, "groupSize": 64, "symmetric": True, "descActOrder": True}
    assert wire["calibration"] == {"samples": 128, "maxSequenceLength": 512}
    assert wire["ignore"] == ["lm_head"]
    assert wire["maxShardBytes"] == 5_000_000_000


def test_a_gpu_goes_to_the_steps_that_compute_with_the_model() -> None:
    world = World(model(quantization={"method": "FP8"}, accelerator={"type": "GPU"}), (GPU,))
    asked = {}
    for step in ("inspect", "fetch", "quantize", "measure"):
        world.settle()
        asked[step] = world.wish(step).accelerators
        image = world.wish(step).containers[0].image
        world.complete(step)
    gpu = Accelerators("nvidia.com/gpu", 1)
    assert asked == {"inspect": None, "fetch": None, "quantize": gpu, "measure": gpu}
    assert image == "vllm-cuda:1"


def test_measuring_on_a_gpu_is_given_the_hosts_share_and_no_cache() -> None:
    limits = []
    for context_length in (1024, 8192):
        serving = {"contextLength": context_length, "concurrency": 8}
        asked = model(quantization={"method": "FP8"}, accelerator={"type": "GPU"}, serving=serving)
        world = World(asked, (GPU,))
        for step in ("inspect", "fetch", "quantize"):
            world.settle()
            world.complete(step)
        world.settle()
        limits.append(world.wish("measure").containers[0].memory_bytes)
    assert limits[0] == limits[1] > 2054 * MIB


def test_llama_cpp_on_a_gpu_has_the_image_that_can_use_it() -> None:
    world = World(model(accelerator={"type": "GPU"}), (GPU,))
    for step in ("inspect", "fetch", "quantize"):
        world.settle()
        world.complete(step)
    world.settle()
    assert world.wish("measure").containers[0].image == "llamacpp-cuda:1"
    world.complete("measure", footprint=footprint(device_bytes=807 * MIB, peak_bytes=245 * MIB))
    world.settle()
    assert world.status.sizing is not None
    assert world.status.sizing.device_bytes == 807 * MIB
    assert world.status.footprint is not None
    assert (world.status.footprint.estimated_device_bytes or 0) > 600 * MIB
    assert world.status.footprint_summary == "245Mi + 807Mi GPU"
    assert "807Mi of GPU memory" in world.message(ConditionType.SIZED)


@pytest.mark.parametrize(
    ("quantization", "count", "shares"),
    [
        ({"method": "GPTQ", "gptq": {"groupSize": 64}}, 3, True),
        ({"method": "GPTQ", "gptq": {"groupSize": 64}}, 1, False),
        ({"method": "FP8"}, 3, False),
        ({"method": "AWQ", "backend": "AutoAWQ", "awq": {"groupSize": 64}}, 3, False),
        ({"method": "GGUF", "gguf": {"type": "Q4_K_M", "importanceMatrix": True}}, 3, False),
    ],
)
def test_several_gpus_share_the_weights_where_a_method_calibrates(
    quantization: dict[str, Any],
    count: int,
    shares: bool,  # noqa: FBT001  a row of the table
) -> None:
    gpus = Node("gpus", {}, {"nvidia.com/gpu": "3"})
    asked = {"type": "GPU", "count": count}
    world = World(model(quantization=quantization, accelerator=asked), (gpus,))
    for step in ("inspect", "fetch"):
        world.settle()
        world.complete(step)
    want = world.wish("quantize")
    assert (want.shared_memory_bytes > 0) is shares
    assert want.containers[0].memory_bytes > want.shared_memory_bytes


@pytest.mark.parametrize(
    ("quantization", "serving", "reason", "told"),
    [
        ({"method": "FP8"}, {"kvCacheType": "Q8_0"}, "CacheTypeDoesNotFit", "VLLM offers F16"),
        ({"method": "GGUF"}, {"kvCacheType": "FP8"}, "CacheTypeDoesNotFit", "LlamaCpp offers F16"),
        ({"method": "GGUF"}, {"dtype": "float16"}, "EngineDoesNotFit", "spec.serving.dtype"),
        (
            {"method": "GGUF"},
            {"extraArgs": ["--temp", "0.2", "--no-kv-offload", "--max-logprobs", "5"]},
            "ArgumentsNotAllowed",
            "--no-kv-offload, --max-logprobs, which LlamaCpp may not be given",
        ),
        (
            {"method": "FP8"},
            {"extraArgs": ["--chat-template", "chatml", "--seed", "1"]},
            "ArgumentsNotAllowed",
            "extraArgs has --chat-template, which VLLM may not be given",
        ),
        ({"method": "GGUF"}, {"tensorParallelSize": 2}, "EngineDoesNotFit", "llama.cpp serves"),
        ({"method": "FP8"}, {"tensorParallelSize": 2}, "TooFewGPUs", "accelerator.count is 1"),
        ({"method": "None"}, {"engine": "LlamaCpp"}, "EngineDoesNotFit", "safetensors"),
        ({"method": "FP8"}, {"contextLength": 100_000}, "ContextTooLong", "at most 8192"),
    ],
)
def test_what_the_engine_cannot_do_is_said_at_once(
    quantization: dict[str, Any], serving: dict[str, Any], reason: str, told: str
) -> None:
    world = World(model(quantization=quantization, serving=serving))
    world.settle()
    world.complete("inspect")
    assert world.says(ConditionType.INSPECTED) == f"False {reason}"
    condition = world.status.condition(ConditionType.INSPECTED)
    assert condition is not None
    assert told in condition.message
    assert world.started == ["inspect 1"]


@pytest.mark.parametrize(
    ("method", "told"),
    [("FP8", "False EngineDoesNotFit"), ("None", "False EngineDoesNotFit"), ("GGUF", "True")],
)
def test_a_recurrent_state_is_left_to_llama_cpp(method: str, told: str) -> None:
    layout = INSPECTION.kv.model_copy(update={"full_layers": 6, "recurrent_layers": 24})
    world = World(model(quantization={"method": method}))
    world.settle()
    world.complete("inspect", inspection=INSPECTION.model_copy(update={"kv": layout}))
    assert world.says(ConditionType.INSPECTED).startswith(told)
    if method != "GGUF":
        assert "24 of the model's layers" in world.message(ConditionType.INSPECTED)


@pytest.mark.parametrize(
    ("backend", "asked", "order"),
    [
        ("LLMCompressor", None, True),
        ("LLMCompressor", False, False),
        ("AutoGPTQ", None, False),
        ("AutoGPTQ", True, True),
    ],
)
def test_columns_are_ordered_where_serving_is_as_fast(
    backend: str,
    asked: bool | None,  # noqa: FBT001  a row of the table
    order: bool,  # noqa: FBT001
) -> None:
    block = {"groupSize": 64} | ({} if asked is None else {"descActOrder": asked})
    asked_for = {"method": "GPTQ", "backend": backend, "gptq": block}
    options = recipe(Quantization.model_validate(asked_for)).gptq
    assert options is not None
    assert options.desc_act_order is order


@pytest.mark.parametrize(("kv_heads", "held"), [(8, 4), (1, 1)])
def test_each_gpu_is_told_the_cache_of_the_heads_that_it_holds(kv_heads: int, held: int) -> None:
    layout = INSPECTION.kv.model_copy(update={"kv_heads": kv_heads})
    two = {"type": "GPU", "count": 2}
    world = World(model(quantization={"method": "FP8"}, accelerator=two))
    world.settle()
    world.complete("inspect", inspection=INSPECTION.model_copy(update={"kv": layout}))
    for step in ("fetch", "quantize"):
        world.complete(step)
    task = world.wish("measure").containers[0].task
    assert isinstance(task, MeasureTask)
    told = int(task.argv[task.argv.index("--kv-cache-memory-bytes") + 1])
    assert told == (4096 // 128 + 1) * 128 * 30 * held * 2 * 64 * 2
    world.run()
    assert world.status.rollout is not None
    assert world.status.rollout.argv == task.argv


@pytest.mark.parametrize(
    "quantization", [{"method": "BitsAndBytes"}, {"method": "AWQ", "awq": {"groupSize": 64}}]
)
def test_a_cpu_holds_the_whole_cache_whatever_gpus_would_share(
    quantization: dict[str, Any],
) -> None:
    serving, two = {"tensorParallelSize": 2, "concurrency": 4}, {"type": "CPU", "count": 2}
    world = World(model(quantization=quantization, serving=serving, accelerator=two))
    world.settle()
    world.complete("inspect", inspection=INSPECTION.model_copy(update={"linear_widths": [576]}))
    for step in ("fetch", "quantize"):
        world.complete(step)
    task = world.wish("measure").containers[0].task
    assert isinstance(task, MeasureTask)
    told = task.argv[task.argv.index("--kv-cache-memory-bytes") + 1]
    world.run()
    assert world.status.sizing is not None
    assert told == str(world.status.sizing.kv_bytes)
    assert world.status.rollout is not None
    assert world.status.rollout.argv == task.argv
