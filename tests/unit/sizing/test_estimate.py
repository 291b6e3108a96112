import pytest

from qmodel.api.quantization import GGUFType, Method
from qmodel.api.serving import KVCacheType
from qmodel.planner.model import Container
from qmodel.sizing.estimate import (
    estimate_artifact_bytes,
    estimate_serve_bytes,
    estimate_step_memory,
    volume_bytes,
)
from unit.sizing.values import INSPECTION, MIB

LLAMA_3_8B = INSPECTION.model_copy(
    update={"parameters": 8_030_000_000, "hidden_size": 4096, "vocabulary_size": 128_256}
)


@pytest.mark.parametrize("gguf_type", list(GGUFType))
def test_every_type_has_an_estimate(gguf_type: GGUFType) -> None:
    assert estimate_artifact_bytes(INSPECTION, Method.GGUF, gguf_type) > 30 * MIB


@pytest.mark.parametrize(
    ("gguf_type", "listed_gibibytes"),
    [(GGUFType.Q4_K_M, 4.58), (GGUFType.Q8_0, 7.96), (GGUFType.Q2_K, 2.96), (GGUFType.Q6_K, 6.14)],
)
def test_an_estimate_lies_little_above_the_listed_size(
    gguf_type: GGUFType, listed_gibibytes: float
) -> None:
    found = estimate_artifact_bytes(LLAMA_3_8B, Method.GGUF, gguf_type) / 2**30
    assert listed_gibibytes <= found <= 1.16 * listed_gibibytes


def test_rows_that_do_not_divide_make_larger_files() -> None:
    narrow = estimate_artifact_bytes(INSPECTION, Method.GGUF, GGUFType.Q4_K_M)
    wide = INSPECTION.model_copy(update={"hidden_size": 512})
    assert narrow > estimate_artifact_bytes(wide, Method.GGUF, GGUFType.Q4_K_M)


def test_a_source_that_is_served_as_it_is_keeps_its_size() -> None:
    assert estimate_artifact_bytes(INSPECTION, Method.NONE, None) == INSPECTION.weight_bytes


def test_a_server_takes_its_weights_its_cache_and_more() -> None:
    found = estimate_serve_bytes(INSPECTION, 140 * MIB, 4096, 1, KVCacheType.F16)
    assert (140 + 90) * MIB < found < 2 * (140 + 90) * MIB


def test_inspect_needs_no_inspection() -> None:
    assert estimate_step_memory(Container.INSPECT, None, 0, 0) == 256 * MIB


@pytest.mark.parametrize("container", [Container.FETCH, Container.QUANTIZE, Container.EVALUATE])
def test_steps_do_not_depend_on_the_server(container: Container) -> None:
    small = estimate_step_memory(container, INSPECTION, 100 * MIB, 0)
    assert small == estimate_step_memory(container, INSPECTION, 100 * MIB, 2**40)


def test_measuring_takes_a_server_and_the_worker() -> None:
    found = estimate_step_memory(Container.MEASURE, INSPECTION, 100 * MIB, 1000 * MIB)
    assert found > (1000 + 128) * MIB


def test_quantizing_does_not_grow_with_the_file() -> None:
    deeper = INSPECTION.model_copy(update={"parameters": 100 * INSPECTION.parameters})
    assert estimate_step_memory(Container.QUANTIZE, deeper, 0, 0) == estimate_step_memory(
        Container.QUANTIZE, INSPECTION, 0, 0
    )


def test_a_volume_holds_source_base_and_two_artifacts() -> None:
    content = INSPECTION.source_bytes + 2 * INSPECTION.parameters + 2 * 100 * MIB
    found = volume_bytes(INSPECTION, 100 * MIB)
    assert 0 <= found - (int(content * 1.1) + 256 * MIB) < MIB
    assert found % MIB == 0
