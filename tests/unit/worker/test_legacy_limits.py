from typing import Any

import pytest

from qmodel.api.methods import AWQOptions, Backend, GPTQOptions, Method
from qmodel.worker.legacy_limits import refusal
from qmodel.worker.task import Recipe

LM_HEAD = ["lm_head"]


def asked(backend: Backend, **values: Any) -> Recipe:
    method = Method.AWQ if backend is Backend.AUTO_AWQ else Method.GPTQ
    return Recipe(method=method, backend=backend, **values)


@pytest.mark.parametrize(
    ("recipe", "model_type"),
    [
        (asked(Backend.AUTO_AWQ, ignore=LM_HEAD), "qwen3"),
        (asked(Backend.AUTO_AWQ), None),
        (asked(Backend.AUTO_GPTQ, gptq=GPTQOptions(desc_act_order=True, group_size=-1)), "llama"),
        (asked(Backend.LLM_COMPRESSOR, gptq=GPTQOptions(symmetric=False), ignore=["x"]), "gemma4"),
        (Recipe(method=Method.NONE), "gemma4"),
    ],
)
def test_what_can_be_done(recipe: Recipe, model_type: str | None) -> None:
    assert refusal(recipe, model_type) is None


@pytest.mark.parametrize(
    ("recipe", "model_type", "message"),
    [
        (asked(Backend.AUTO_AWQ, awq=AWQOptions(symmetric=True)), "llama",
         "set spec.quantization.awq.symmetric false"),
        (asked(Backend.AUTO_AWQ, awq=AWQOptions(group_size=-1)), "llama",
         "set spec.quantization.awq.groupSize 128"),
        (asked(Backend.AUTO_AWQ, ignore=["lm_head", "re:.*down_proj"]), "llama",
         "cannot keep re:.*down_proj: leave spec.quantization.ignore out"),
        (asked(Backend.AUTO_GPTQ, gptq=GPTQOptions(symmetric=False)), "llama",
         "set spec.quantization.gptq.symmetric true"),
        (asked(Backend.AUTO_GPTQ, ignore=["model.layers.0.mlp"]), "llama",
         "AutoGPTQ quantizes every linear layer"),
        (asked(Backend.AUTO_AWQ), "gemma4", "does not know models of type gemma4, only bloom, "),
        (asked(Backend.AUTO_GPTQ), "qwen3", "AutoGPTQ does not know models of type qwen3"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_what_can(
    recipe: Recipe, model_type: str, message: str
) -> None:
    why = refusal(recipe, model_type) or ""
    assert message in why
    assert why.endswith("use spec.quantization.backend LLMCompressor")
    assert len(why) < 500
