import pytest

from qmodel.api.methods import AWQOptions, Backend, Method
from qmodel.worker.backends import legacy_recipe
from qmodel.worker.errors import TextInvalid, UnsupportedModel
from qmodel.worker.task import Recipe


def test_what_cannot_be_done_is_refused_with_what_can() -> None:
    legacy_recipe.check(Recipe(method=Method.AWQ, backend=Backend.AUTO_AWQ))
    symmetric = AWQOptions(symmetric=True)
    with pytest.raises(UnsupportedModel, match="backend LLMCompressor"):
        legacy_recipe.check(Recipe(method=Method.AWQ, backend=Backend.AUTO_AWQ, awq=symmetric))


def test_samples_are_joined_into_rows_of_one_length() -> None:
    assert legacy_recipe.rows([[1, 2, 3], [4], [5, 6]], 2) == [[1, 2], [3, 4], [5, 6]]
    assert legacy_recipe.rows([[1, 2, 3], [4, 5]], 2) == [[1, 2], [3, 4]]


def test_few_tokens_make_one_short_row() -> None:
    assert legacy_recipe.rows([[1], [2, 3]], 512) == [[1, 2, 3]]
    with pytest.raises(TextInvalid, match="no token"):
        legacy_recipe.rows([[], []], 512)
