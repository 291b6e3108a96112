from pathlib import Path

import pytest

from qmodel.worker import evaluate
from qmodel.worker.details import MAX_DETAILS_BYTES, Details, LayerError
from qmodel.worker.parameters import PARAMETERS, Parameter, Parameters


def parameter(name: str, bits: int | None = 4) -> Parameter:
    return Parameter(name=name, dtype="U8", shape=[4, 4], bytes=8, bits=bits)


def layer(number: int) -> LayerError:
    return LayerError(
        name=f"model.layers.{number}.mlp.experts.gate_up_proj.weight" * 3,
        shape=[4, 4],
        type="int4",
        bits=4.5,
        bytes=9,
        relative_error=0.1,
    )


def test_quantized_weights_are_in_the_order_of_the_layers(tmp_path: Path) -> None:
    names = [f"model.layers.{number}.mlp.up_proj.weight" for number in (10, 2, 0)]
    kept = parameter("model.norm.weight", None)
    listed = Parameters(parameters=[*map(parameter, names), kept])
    (tmp_path / PARAMETERS).write_text(listed.model_dump_json(by_alias=True))
    found = [parameter.name.split(".")[2] for parameter in evaluate._quantized(tmp_path)]
    assert found == ["0", "2", "10"]


def test_artifact_without_a_list_of_parameters_has_no_layers(tmp_path: Path) -> None:
    assert evaluate._quantized(tmp_path) == []


def test_details_are_bounded() -> None:
    layers = [layer(number) for number in range(3000)]
    content = evaluate._encoded(Details(layers=layers, quantized_layers=len(layers)))
    found = Details.model_validate_json(content)
    assert len(content) <= MAX_DETAILS_BYTES
    assert found.quantized_layers == 3000
    assert 100 < len(found.layers) < 3000


@pytest.mark.parametrize("kinds", [4, 3000])
def test_bounded_details_keep_every_kind_as_long_as_they_can(kinds: int) -> None:
    names = [f"model.layers.{number}.kind_{number % kinds}" for number in range(3000)]
    each = [layer(0).model_copy(update={"name": name}) for name in names]
    content = evaluate._encoded(Details(layers=each, quantized_layers=len(each)))
    found = Details.model_validate_json(content).layers
    assert len(content) <= MAX_DETAILS_BYTES
    assert len(found) > 100
    assert kinds > 4 or len({one.name.split(".")[-1] for one in found}) == kinds


def test_time_is_given_to_the_part_that_took_it() -> None:
    timer = evaluate.Timer()
    timer.lap("load")
    timer.lap("compare")
    assert list(timer.seconds) == ["load", "compare"]
    assert min(timer.seconds.values()) >= 0
