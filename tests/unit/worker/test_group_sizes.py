import pytest

from qmodel.worker.backends import group_sizes
from qmodel.worker.errors import UnsupportedModel
from qmodel.worker.task import Recipe

WIDTHS = {"model.layers.0.up_proj": 576, "model.layers.0.down_proj": 1536, "lm_head": 100}


def recipe(method: str = "AWQ", size: int = 64, ignore: tuple[str, ...] = ("lm_head",)) -> Recipe:
    options = {method.lower(): {"groupSize": size}} if method in ("AWQ", "GPTQ") else {}
    return Recipe.model_validate({"method": method, "ignore": list(ignore), **options})


@pytest.mark.parametrize("size", [-1, 16, 32, 64])
def test_groups_that_divide_every_row(size: int) -> None:
    group_sizes.check(recipe(size=size), WIDTHS)


def test_a_size_that_would_work_is_named() -> None:
    expected = r"up_proj is 576 wide, which is not divisible by 128: use the group size 64 or 32"
    with pytest.raises(UnsupportedModel, match=expected):
        group_sizes.check(recipe(size=128), WIDTHS)


def test_a_layer_that_does_not_divide_may_be_ignored() -> None:
    group_sizes.check(recipe(size=128, ignore=("re:.*up_proj", "lm_head")), WIDTHS)


@pytest.mark.parametrize("method", ["NVFP4", "MXFP4"])
def test_formats_have_their_own_groups(method: str) -> None:
    group_sizes.check(recipe(method), WIDTHS)
    with pytest.raises(UnsupportedModel, match="lm_head is 100 wide"):
        group_sizes.check(recipe(method, ignore=()), WIDTHS)


@pytest.mark.parametrize("method", ["FP8", "INT8"])
def test_whole_rows_have_any_width(method: str) -> None:
    group_sizes.check(recipe(method, ignore=()), WIDTHS)


@pytest.mark.parametrize("name", ["model.layers.0.up", "re:.*gate_proj"])
def test_a_name_of_no_layer_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedModel, match="the model has no such layer"):
        group_sizes.check(recipe(ignore=(name,)), WIDTHS)


def test_what_has_weights_but_is_never_quantized_may_be_named() -> None:
    router = "model.layers.0.mlp.gate"
    for name in (router, "re:.*mlp.gate$"):
        group_sizes.check(recipe(ignore=(name, "lm_head")), WIDTHS, [router])
    with pytest.raises(UnsupportedModel, match=r"names model\.layers\.0\.mlp, but"):
        group_sizes.check(recipe(ignore=("model.layers.0.mlp",)), WIDTHS, [router])


def test_what_has_weights_but_is_never_quantized_is_not_left_to_quantize() -> None:
    with pytest.raises(UnsupportedModel, match="leaves no linear layer"):
        group_sizes.check(recipe(ignore=("re:.*proj", "lm_head")), WIDTHS, ["model.norm"])


def test_the_default_fits_a_model_without_an_output_layer() -> None:
    group_sizes.check(recipe(), {"model.layers.0.up_proj": 64})


def test_something_must_be_left() -> None:
    with pytest.raises(UnsupportedModel, match="leaves no linear layer"):
        group_sizes.check(recipe(ignore=("re:.*",)), WIDTHS)
