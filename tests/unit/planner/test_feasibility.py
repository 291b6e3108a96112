"""What a recipe is refused for, and that the message names a value that works."""

from typing import Any

import pytest

from qmodel.api.gguf import GGUFOptions, GGUFType
from qmodel.api.methods import AWQOptions, Backend, GPTQOptions, Method
from qmodel.api.quantization import Quantization
from qmodel.api.serving import AcceleratorType, Engine
from qmodel.api.status import AcceleratorStatus
from qmodel.planner.feasibility import problem
from qmodel.planner.hardware import Hardware, hardware
from qmodel.planner.observed import Node
from qmodel.planner.recipes import recipe
from qmodel.worker.report import Inspection, SourceQuantization
from qmodel.worker.task import KVLayout

CPU = Hardware(gpus=0)
UNKNOWN = Hardware()
H100 = Hardware(gpus=1, capability=(9, 0))
T4 = Hardware(gpus=1, capability=(7, 5))
V100 = Hardware(gpus=1, capability=(7, 0))
NO_GPU = Hardware(gpu_in_cluster=False)
TWO = Hardware(gpus=2, capability=(9, 0), tensor_parallel_size=2)
THREE = Hardware(gpus=3, capability=(9, 0), tensor_parallel_size=3)
EIGHT = Hardware(gpus=8, capability=(9, 0), tensor_parallel_size=8)


def smollm2(**changes: Any) -> Inspection:
    values: dict[str, Any] = {
        "source_revision": "a" * 40,
        "source_digest": "b" * 16,
        "source_bytes": 1,
        "format": "safetensors",
        "architecture": "LlamaForCausalLM",
        "parameters": 1,
        "weight_bytes": 1,
        "hidden_size": 576,
        "layers": 30,
        "vocabulary_size": 49152,
        "context_length": 8192,
        "kv": KVLayout(full_layers=30, kv_heads=3, key_head_dim=64, value_head_dim=64),
        "linear_widths": [576, 1536],
        "chat_template": True,
    }
    return Inspection.model_validate(values | changes)


def asked(method: Method, **options: Any) -> Quantization:
    return Quantization(method=method, **options)


def judged(
    quantization: Quantization, source: Inspection | None = None, device: Hardware = UNKNOWN
) -> tuple[str, str] | None:
    gguf = quantization.method is Method.GGUF
    engine = Engine.LLAMA_CPP if gguf else Engine.VLLM
    return problem(recipe(quantization), source or smollm2(), engine, device)


def awq(group_size: Any = 64, *, symmetric: bool = False) -> Quantization:
    return asked(Method.AWQ, awq=AWQOptions(group_size=group_size, symmetric=symmetric))


def gptq(backend: Backend | None = None, **options: Any) -> Quantization:
    chosen = GPTQOptions(**({"group_size": 64} | options))
    return asked(Method.GPTQ, gptq=chosen, backend=backend)


def taken(format_name: str, description: str = "", **values: Any) -> Inspection:
    quantization = SourceQuantization(format=format_name, description=description, **values)
    return smollm2(quantization=quantization)


def packed(bits: int) -> Inspection:
    """Return a source of compressed-tensors' integers."""
    return taken("compressed-tensors", f"{bits} bits", bits=bits, packing="pack-quantized")


def even(**changes: Any) -> Inspection:
    """Return a model whose heads two GPUs can share."""
    heads = {"kv_heads": 2, "key_head_dim": 64, "value_head_dim": 64}
    kv = KVLayout(full_layers=30, **heads)
    return smollm2(**{"attention_heads": 8, "kv": kv} | changes)


def grouped(group_size: int) -> Inspection:
    """Return a source in AWQ with an inner width of 148 times 128."""
    found = SourceQuantization(format="awq", bits=4, group_size=group_size, description="AWQ")
    return even(linear_widths=[512, 18_944], hidden_size=512, quantization=found)


NONE = asked(Method.NONE)
WINDOWED = even().kv.model_copy(update={"sliding_layers": 5, "window": 8, "sliding_kv_heads": 3})
SEES = smollm2(architecture="Gemma3ForConditionalGeneration")
REFUSED: list[tuple[str, Quantization, Inspection, Hardware, str, str]] = [
    ("no CPU for what sees", asked(Method.FP8), SEES, CPU, "EngineCannotLoad", "method GGUF"),
    ("nor as it is", NONE, SEES, CPU, "EngineCannotLoad", "accelerator.type GPU"),
    ("the default group", asked(Method.AWQ), smollm2(), UNKNOWN, "GroupSizeDoesNotFit",
     "awq.groupSize is 128, but the model's hidden size 576 is not divisible by 128: use 64 or 32"),
    ("an inner width", awq(256), smollm2(linear_widths=[2048, 5504], hidden_size=2048), UNKNOWN,
     "GroupSizeDoesNotFit", "input width 5504 is not divisible by 256: use 128 or 64"),
    ("no group at all", awq(32), smollm2(linear_widths=[100], hidden_size=100), UNKNOWN,
     "GroupSizeDoesNotFit", "use -1 (one group a row)"),
    ("a share of two GPUs", awq(128), even(linear_widths=[384], hidden_size=384), TWO,
     "GroupSizeDoesNotFit", "384 shared by 2 GPUs is not divisible by 128: use 64 or 32"),
    ("blocks of NVFP4", asked(Method.NVFP4), smollm2(linear_widths=[24]), UNKNOWN,
     "GroupSizeDoesNotFit", "block of method NVFP4 is 16, but the model's input width 24"),
    ("blocks of MXFP4", asked(Method.MXFP4), smollm2(linear_widths=[48]), H100,
     "GroupSizeDoesNotFit", "block of method MXFP4 is 32"),
    ("groups of 16 on a GPU", awq(16), smollm2(), H100, "EngineCannotLoad", "use 64 or 32"),
    ("eight bits on a CPU", gptq(bits=8), smollm2(), CPU, "EngineCannotLoad", "use 4"),
    ("eight bits, asymmetric", gptq(bits=8, symmetric=False), smollm2(), H100, "EngineCannotLoad",
     "set symmetric true"),
    ("odd widths on a CPU", awq(16), smollm2(linear_widths=[48], hidden_size=48), CPU,
     "EngineCannotLoad", "hidden size 48"),
    ("AutoAWQ, symmetric",
     asked(Method.AWQ, backend=Backend.AUTO_AWQ, awq=AWQOptions(group_size=64, symmetric=True)),
     smollm2(), UNKNOWN, "BackendCannotQuantize", "set spec.quantization.awq.symmetric false"),
    ("AutoAWQ of a model after its time",
     asked(Method.AWQ, backend=Backend.AUTO_AWQ, awq=AWQOptions(group_size=64)),
     smollm2(model_type="gemma4"), UNKNOWN, "BackendCannotQuantize", "models of type gemma4"),
    ("AWQ of layers that nobody knows", awq(), smollm2(model_type="olmo2"), UNKNOWN,
     "BackendCannotQuantize", "of type olmo2 AWQ may scale together: use spec.quantization.method"),
    ("which AutoAWQ knows", awq(), smollm2(model_type="falcon"), UNKNOWN,
     "BackendCannotQuantize", "method GPTQ, or backend AutoAWQ"),
    ("what transformers does not load, FP8", asked(Method.FP8),
     smollm2(model_type="mistral3", architecture="Mistral3ForConditionalGeneration"), H100,
     "BackendCannotQuantize", "type mistral3 to continue text: use method GGUF"),
    ("nor bitsandbytes through it", asked(Method.BITS_AND_BYTES),
     smollm2(model_type="llava", architecture="LlavaNextForConditionalGeneration"), H100,
     "BackendCannotQuantize", "to continue text: use method None"),
    ("no linear layers", asked(Method.FP8),
     smollm2(model_type="gpt2", architecture="GPT2LMHeadModel"), UNKNOWN,
     "BackendCannotQuantize", "none but the output layer: use method GGUF"),
    ("AutoGPTQ keeps nothing",
     asked(Method.GPTQ, backend=Backend.AUTO_GPTQ, ignore=["x"], gptq=GPTQOptions(group_size=64)),
     smollm2(), H100, "BackendCannotQuantize", "leave spec.quantization.ignore out"),
    ("AutoGPTQ without a GPU", gptq(Backend.AUTO_GPTQ), smollm2(), NO_GPU, "GPUNeeded",
     "use backend LLMCompressor"),
    ("AutoGPTQ beside a GPU", gptq(Backend.AUTO_GPTQ), smollm2(), CPU, "GPUNeeded", "on a CPU"),
    ("AutoGPTQ, asymmetric", gptq(Backend.AUTO_GPTQ, symmetric=False), smollm2(), H100,
     "EngineCannotLoad", "symmetric only"),
    ("AutoGPTQ's order", gptq(Backend.AUTO_GPTQ, desc_act_order=True), smollm2(), H100,
     "EngineCannotLoad", "descActOrder false"),
    ("NVFP4 on a CPU", asked(Method.NVFP4), smollm2(), CPU, "AcceleratorCannotRun", "GPUs only"),
    ("MXFP4 on a T4", asked(Method.MXFP4), smollm2(), T4, "AcceleratorCannotRun",
     "compute capability 8.0 (10.0 to multiply in it), but the cluster's have at most 7.5"),
    ("FP8 on a V100", asked(Method.FP8), smollm2(), V100, "AcceleratorCannotRun", "7.5 (8.9"),
    ("heads on two GPUs", NONE, smollm2(attention_heads=9), TWO, "EngineCannotLoad",
     "has 9 attention heads, which 2 GPUs cannot share: set spec.accelerator.count 1 or 3"),
    ("heads of keys on two GPUs", asked(Method.FP8), smollm2(), TWO, "EngineCannotLoad",
     "3 key-value heads, which 2 GPUs"),
    ("heads of windows on two GPUs", NONE, even(kv=WINDOWED), TWO, "EngineCannotLoad",
     "3 key-value heads, which 2 GPUs"),
    ("an inner width on two GPUs", NONE, even(linear_widths=[576, 1001]), TWO,
     "EngineCannotLoad", "the input width 1001"),
    ("a vocabulary on three GPUs", NONE,
     smollm2(attention_heads=9, vocabulary_size=151_936), THREE,
     "EngineCannotLoad", "a vocabulary of 151936 tokens"),
    ("AWQ taken, on two GPUs", NONE,
     taken("awq", "AWQ, 4 bits", bits=4).model_copy(update={"attention_heads": 9}), TWO,
     "EngineCannotLoad", "9 attention heads"),
    ("groups taken, on eight GPUs", NONE, grouped(128), EIGHT, "EngineCannotLoad",
     "18944 in groups of 128, which 8 GPUs cannot share: set spec.accelerator.count 1, 2 or 4"),
    ("bitsandbytes on two GPUs", asked(Method.BITS_AND_BYTES), smollm2(), TWO, "EngineCannotLoad",
     "spec.accelerator.count 1"),
    ("a row of GGUF", asked(Method.GGUF, gguf=GGUFOptions(type=GGUFType.Q1_0)), smollm2(), UNKNOWN,
     "TypeDoesNotFit", "rows divisible by 128, but the model's hidden size is 576"),
    ("a format of nobody's", NONE, taken("exl2", "exl2, 4 bits"), UNKNOWN, "EngineCannotLoad",
     "format exl2, which vLLM does not load: it loads awq"),
    ("GPTQ taken, asymmetric", NONE, taken("gptq", bits=4, symmetric=False), UNKNOWN,
     "EngineCannotLoad", "symmetric only"),
    ("GPTQ taken, ordered", NONE, taken("gptq", bits=4, group_size=128, act_order=True), UNKNOWN,
     "EngineCannotLoad", "not loaded by vLLM any more"),
    ("AWQ taken, 8 bits", NONE, taken("awq", "AWQ, 8 bits", bits=8), UNKNOWN, "EngineCannotLoad",
     "has 8 bits"),
    ("GPTQ taken, 8 bits, CPU", NONE, taken("gptq", "GPTQ, 8 bits", bits=8), CPU,
     "EngineCannotLoad", "GPUs only"),
    ("packed taken, 8 bits, CPU", NONE, packed(8), CPU, "EngineCannotLoad", "accelerator.type GPU"),
    ("packed taken, 3 bits", NONE, packed(3), UNKNOWN, "EngineCannotLoad", "of 4 or 8 bits"),
    ("packed taken, 3 bits, GPU", NONE, packed(3), H100, "EngineCannotLoad", "of 4 or 8 bits"),
    ("W4A8 of ModelOpt", NONE, taken("modelopt", "ModelOpt W4A8_AWQ", bits=4, packing="W4A8_AWQ"),
     UNKNOWN, "EngineCannotLoad", "it loads FP8, "),
    ("INT8 of ModelOpt", NONE, taken("modelopt", bits=8, packing="INT8_SQ"), H100,
     "EngineCannotLoad", "an algorithm of ModelOpt"),
    ("AWQ of ModelOpt", NONE, taken("modelopt", bits=4, packing="W4A16_AWQ"), H100,
     "EngineCannotLoad", "an algorithm of ModelOpt"),
    ("NVFP4 taken, CPU", NONE, taken("compressed-tensors", packing="nvfp4-pack-quantized"), CPU,
     "AcceleratorCannotRun", "GPUs only"),
    ("NVFP4 of ModelOpt, CPU", NONE, taken("modelopt", packing="NVFP4"), CPU,
     "AcceleratorCannotRun", "GPUs only"),
    ("FP8 taken, V100", NONE, taken("fp8", "FP8, 8 bits", bits=8), V100, "AcceleratorCannotRun",
     "the source (FP8, 8 bits) needs GPUs of compute capability 7.5"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "quantization", "source", "device", "reason", "told"),
    REFUSED,
    ids=[r[0] for r in REFUSED],
)
def test_refused(
    name: str,
    quantization: Quantization,
    source: Inspection,
    device: Hardware,
    reason: str,
    told: str,
) -> None:
    found = judged(quantization, source, device)
    assert found is not None, name
    assert found[0] == reason
    assert told in found[1]
    assert len(found[1]) < 500


@pytest.mark.parametrize("device", [CPU, UNKNOWN, H100, T4, NO_GPU])
@pytest.mark.parametrize(
    "quantization",
    [
        awq(),
        awq(-1, symmetric=True),
        awq(32),
        gptq(),
        gptq(desc_act_order=True),
        asked(Method.FP8),
        asked(Method.INT8),
        asked(Method.BITS_AND_BYTES),
        asked(Method.GGUF),
        NONE,
    ],
    ids=str,
)
def test_possible_anywhere(quantization: Quantization, device: Hardware) -> None:
    assert judged(quantization, device=device) is None


@pytest.mark.parametrize(
    ("quantization", "device"),
    [
        (asked(Method.FP8), H100),
        (asked(Method.FP8), UNKNOWN),
        (asked(Method.GGUF, gguf=GGUFOptions(type=GGUFType.Q8_0)), CPU),
    ],
)
def test_what_sees_is_served_elsewhere(quantization: Quantization, device: Hardware) -> None:
    assert judged(quantization, SEES, device) is None


@pytest.mark.parametrize(
    ("quantization", "model_type"),
    [
        (awq(), "gemma3"),
        (awq(), "qwen3_moe"),
        (gptq(), "olmo2"),
        (asked(Method.AWQ, backend=Backend.AUTO_AWQ, awq=AWQOptions(group_size=64)), "falcon"),
        (asked(Method.GGUF), "mistral3"),
        (NONE, "mistral3"),
    ],
)
def test_what_the_libraries_load_is_quantized(quantization: Quantization, model_type: str) -> None:
    assert judged(quantization, smollm2(model_type=model_type)) is None


def test_what_people_are_told_of_a_source_decides_nothing() -> None:
    words = "GPTQ, asymmetric, act order, nvfp4"
    source = taken("gptq", words, bits=4, group_size=64, symmetric=True)
    assert judged(NONE, source, CPU) is None


LATENT = KVLayout(full_layers=61, kv_heads=1, key_head_dim=576, value_head_dim=0)


@pytest.mark.parametrize(
    ("source", "device"),
    [
        (even(), TWO),
        (even(linear_widths=[4, 255, 576]), TWO),
        (even(), EIGHT),
        (even(attention_heads=128, kv=LATENT), EIGHT),
        (grouped(32), EIGHT),
        (grouped(128), Hardware(gpus=4, capability=(9, 0), tensor_parallel_size=4)),
        (smollm2(attention_heads=9, linear_widths=[576, 1536]), THREE),
        (smollm2(attention_heads=9), Hardware(gpus=2, capability=(9, 0))),
        (smollm2(attention_heads=9), CPU),
    ],
)
def test_what_comes_out_even_is_split(source: Inspection, device: Hardware) -> None:
    assert judged(NONE, source, device) is None


@pytest.mark.parametrize(
    ("source", "device"),
    [
        (packed(8), H100),
        (packed(4), CPU),
        (taken("compressed-tensors", bits=8, packing="int-quantized"), CPU),
        (taken("modelopt", bits=8, packing="fp8"), H100),
        (taken("modelopt", packing="FP8_PB_WO"), H100),
        (taken("modelopt", packing="MIXED_PRECISION"), H100),
        (taken("modelopt"), H100),
    ],
)
def test_what_vllm_multiplies_is_taken(source: Inspection, device: Hardware) -> None:
    assert judged(NONE, source, device) is None


def test_llama_cpp_splits_layers_from_layers() -> None:
    assert judged(asked(Method.GGUF), smollm2(attention_heads=9), TWO) is None


@pytest.mark.parametrize("ignore", [["re:.*down_proj"], ["lm_head", "re:.*down_proj"]])
@pytest.mark.parametrize("device", [UNKNOWN, CPU, H100])
def test_modules_that_are_ignored_may_have_any_width(ignore: list[str], device: Hardware) -> None:
    ignoring = asked(Method.AWQ, ignore=ignore, awq=AWQOptions())
    source = smollm2(linear_widths=[1024, 2736], hidden_size=1024)
    assert judged(ignoring, source, device) is None
    assert judged(ignoring, smollm2(linear_widths=[1000, 2736]), device) is not None


DOWN = [f"model.layers.{layer}.mlp.down_proj" for layer in range(30)]


@pytest.mark.parametrize(
    ("ignore", "experts", "possible"),
    [
        (["lm_head", *DOWN], 0, True),
        (["lm_head", *DOWN[1:]], 0, False),
        (DOWN[:1], 0, False),
        (DOWN[:1], 8, True),
        (["lm_head"], 8, False),
        (["re:.*mlp.*", *DOWN[:1]], 0, True),
    ],
)
def test_a_module_of_one_layer_is_not_that_of_all(
    ignore: list[str],
    experts: int,
    possible: bool,  # noqa: FBT001  a row of the table
) -> None:
    source = smollm2(linear_widths=[1024, 2736], hidden_size=1024, experts=experts)
    quantization = asked(Method.AWQ, awq=AWQOptions(symmetric=True), ignore=ignore)
    assert (judged(quantization, source) is None) is possible


@pytest.mark.parametrize("ignore", [None, [], ["lm_head"]])
@pytest.mark.parametrize("device", [UNKNOWN, CPU, H100])
def test_the_default_ignores_no_width(ignore: list[str] | None, device: Hardware) -> None:
    source = smollm2(linear_widths=[1024, 2736], hidden_size=1024)
    assert judged(asked(Method.AWQ, ignore=ignore), source, device) is not None


def node(name: str, major: str, minor: str, **labels: str) -> Node:
    capability = {"nvidia.com/gpu.compute.major": major, "nvidia.com/gpu.compute.minor": minor}
    return Node(name, capability | labels, {"nvidia.com/gpu": "2"})


def chosen(**labels: str) -> AcceleratorStatus:
    return AcceleratorStatus(
        key="k", type=AcceleratorType.GPU, count=2, node_selector=labels, reason="asked"
    )


def test_the_hardware_is_what_the_nodes_say() -> None:
    nodes = [node("a", "7", "5", pool="old"), node("b", "9", "0"), Node("c", {}, {"cpu": "4"})]
    known = hardware(chosen(), nodes, "nvidia.com/gpu", None)
    assert known == Hardware(2, (9, 0), gpu_in_cluster=True, tensor_parallel_size=2)
    assert hardware(chosen(pool="old"), nodes, "nvidia.com/gpu", 1).capability == (7, 5)
    assert hardware(None, nodes, "nvidia.com/gpu", None).gpus is None
    assert not hardware(None, nodes[2:], "nvidia.com/gpu", None).gpu_in_cluster
    assert hardware(chosen(), [node("a", "", "x")], "nvidia.com/gpu", None).capability is None
