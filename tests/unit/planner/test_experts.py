"""Which artifacts of mixtures of experts would not load back, and what is advised instead."""

import pytest
from test_feasibility import asked, awq, gptq, judged, smollm2

from qmodel.api.methods import Backend, Method
from qmodel.api.quantization import Quantization

QWEN = smollm2(architecture="Qwen3MoeForCausalLM", model_type="qwen3_moe", experts=128)
MIXTRAL = smollm2(architecture="MixtralForCausalLM", model_type="mixtral", experts=8)
LLM_COMPRESSOR = (
    awq(), awq(symmetric=True), gptq(), asked(Method.FP8), asked(Method.INT8), asked(Method.NVFP4),
)  # fmt: skip


def refused(quantization: Quantization, source: object) -> str:
    found = judged(quantization, source)  # type: ignore[arg-type]
    assert found is not None
    assert found[0] == "ExpertsDoNotLoad"
    return found[1]


@pytest.mark.parametrize("method", [Method.INT8, Method.NVFP4])
def test_formats_whose_tensors_are_not_fused(method: Method) -> None:
    message = refused(asked(method), QWEN)
    assert f"method {method} gives each of the model's 128 experts" in message
    assert "use method FP8, or GPTQ" in message


@pytest.mark.parametrize("quantization", [awq(), gptq(symmetric=False)])
def test_zero_points(quantization: Quantization) -> None:
    block = quantization.method.lower()
    assert f"set spec.quantization.{block}.symmetric true" in refused(quantization, QWEN)


@pytest.mark.parametrize(
    ("method", "name"),
    [(Method.FP8, "re:.*experts.0.gate_proj"), (Method.FP8, "model.layers.0.mlp.experts.0.up_proj"),
     (Method.MXFP4, "re:.*experts.*"), (Method.GPTQ, "re:.*experts.*")],
)  # fmt: skip
def test_experts_that_stay_beside_others(method: Method, name: str) -> None:
    assert f"keeps experts ({name})" in refused(asked(method, ignore=["lm_head", name]), QWEN)


@pytest.mark.parametrize("quantization", LLM_COMPRESSOR)
def test_experts_of_other_names(quantization: Quantization) -> None:
    assert refused(quantization, MIXTRAL).endswith("use method GGUF")


@pytest.mark.parametrize(
    "quantization",
    [awq(symmetric=True), gptq(), asked(Method.FP8), asked(Method.MXFP4, ignore=["lm_head"]),
     asked(Method.FP8, ignore=["lm_head", "re:.*experts.*", r"re:.*mlp\.experts\..*"]),
     asked(Method.FP8, ignore=["lm_head", "re:.*shared_experts.gate_proj", "re:.*mlp.gate$"]),
     asked(Method.BITS_AND_BYTES), asked(Method.GGUF)],
)  # fmt: skip
def test_what_loads_back(quantization: Quantization) -> None:
    assert judged(quantization, QWEN) is None


@pytest.mark.parametrize(
    "quantization",
    [asked(Method.GGUF), asked(Method.BITS_AND_BYTES), asked(Method.AWQ, backend=Backend.AUTO_AWQ)],
)
def test_other_libraries_keep_the_names(quantization: Quantization) -> None:
    found = judged(quantization, MIXTRAL)
    assert found is None or found[0] != "ExpertsDoNotLoad"


@pytest.mark.parametrize("quantization", LLM_COMPRESSOR)
def test_dense_models_are_not_judged(quantization: Quantization) -> None:
    assert judged(quantization, smollm2(model_type="mixtral")) is None
