from functools import partial

import pytest

from qmodel.api.methods import AWQOptions, GPTQOptions
from qmodel.worker.backends import legacy_recipe
from qmodel.worker.errors import TextInvalid, UnsupportedModel


def test_the_defaults_can_be_done() -> None:
    legacy_recipe.check_awq(AWQOptions(), ["lm_head"])
    legacy_recipe.check_gptq(GPTQOptions(desc_act_order=True, group_size=-1), [])


@pytest.mark.parametrize(
    ("options", "ignore", "message"),
    [
        (AWQOptions(symmetric=True), [], r"awq.symmetric false"),
        (AWQOptions(group_size=-1), [], r"awq.groupSize"),
        (AWQOptions(), ["lm_head", "re:.*down_proj"], "cannot keep re:.*down_proj"),
        (GPTQOptions(symmetric=False), [], r"gptq.symmetric true"),
        (GPTQOptions(), ["model.layers.0.mlp"], "AutoGPTQ quantizes every linear layer"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_can(
    options: AWQOptions | GPTQOptions, ignore: list[str], message: str
) -> None:
    check = (
        partial(legacy_recipe.check_awq, options)
        if isinstance(options, AWQOptions)
        else (partial(legacy_recipe.check_gptq, options))
    )
    with pytest.raises(UnsupportedModel, match=message) as refused:
        check(ignore)
    assert "backend LLMCompressor" in str(refused.value)


def test_samples_are_joined_into_rows_of_one_length() -> None:
    assert legacy_recipe.rows([[1, 2, 3], [4], [5, 6]], 2) == [[1, 2], [3, 4], [5, 6]]
    assert legacy_recipe.rows([[1, 2, 3], [4, 5]], 2) == [[1, 2], [3, 4]]


def test_few_tokens_make_one_short_row() -> None:
    assert legacy_recipe.rows([[1], [2, 3]], 512) == [[1, 2, 3]]
    with pytest.raises(TextInvalid, match="no token"):
        legacy_recipe.rows([[], []], 512)
