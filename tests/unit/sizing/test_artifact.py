from typing import Any

import pytest

from qmodel.api.gguf import NEEDS_IMPORTANCE_MATRIX, GGUFType
from qmodel.api.methods import Method
from qmodel.api.quantization import Quantization
from qmodel.planner.recipes import recipe
from qmodel.sizing.artifact import artifact_bytes, bits_per_weight, volume_bytes
from qmodel.worker.task import Recipe
from unit.sizing.values import INSPECTION, MIB

LLAMA_3_8B = INSPECTION.model_copy(
    update={"parameters": 8_030_000_000, "hidden_size": 4096, "vocabulary_size": 128_256}
)


def made(method: Method, **options: Any) -> Recipe:
    return recipe(Quantization.model_validate({"method": method, **options}))


def gguf(kind: GGUFType) -> Recipe:
    matrix = kind in NEEDS_IMPORTANCE_MATRIX
    return made(Method.GGUF, gguf={"type": kind, "importanceMatrix": matrix})


@pytest.mark.parametrize("gguf_type", list(GGUFType))
def test_every_type_has_an_estimate(gguf_type: GGUFType) -> None:
    assert artifact_bytes(INSPECTION, gguf(gguf_type)) > 30 * MIB


@pytest.mark.parametrize(
    ("gguf_type", "listed_gibibytes"),
    [(GGUFType.Q4_K_M, 4.58), (GGUFType.Q8_0, 7.96), (GGUFType.Q2_K, 2.96), (GGUFType.Q6_K, 6.14)],
)
def test_an_estimate_lies_little_above_the_listed_size(
    gguf_type: GGUFType, listed_gibibytes: float
) -> None:
    found = artifact_bytes(LLAMA_3_8B, gguf(gguf_type)) / 2**30
    assert listed_gibibytes <= found <= 1.16 * listed_gibibytes


@pytest.mark.parametrize(
    ("wanted", "published_gibibytes"),
    [
        # Hugging Face's and llm-compressor's checkpoints of Llama-3-8B.
        (made(Method.GPTQ), 5.34),
        (made(Method.AWQ), 5.34),
        (made(Method.FP8), 8.46),
    ],
)
def test_other_methods_are_estimated_as_published(
    wanted: Recipe, published_gibibytes: float
) -> None:
    found = artifact_bytes(LLAMA_3_8B, wanted) / 2**30
    assert abs(found / published_gibibytes - 1) < 0.06


def test_rows_that_do_not_divide_make_larger_files() -> None:
    narrow = artifact_bytes(INSPECTION, gguf(GGUFType.Q4_K_M))
    wide = INSPECTION.model_copy(update={"hidden_size": 512})
    assert narrow > artifact_bytes(wide, gguf(GGUFType.Q4_K_M))


def test_smaller_groups_take_more() -> None:
    sizes = [
        bits_per_weight(made(Method.GPTQ, gptq={"groupSize": group}), 4096)
        for group in (-1, 128, 64, 32)
    ]
    assert sizes == sorted(sizes)
    assert sizes[1] == 4.25


@pytest.mark.parametrize(("method", "bits"), [(Method.NVFP4, 4.5), (Method.MXFP4, 4.25)])
def test_small_floats_share_a_scale_of_eight_bits_a_block(method: Method, bits: float) -> None:
    assert bits_per_weight(made(method), 4096) == bits


def test_a_source_that_is_served_as_it_is_keeps_its_size() -> None:
    assert artifact_bytes(INSPECTION, made(Method.NONE)) == INSPECTION.weight_bytes


def test_a_volume_holds_source_base_and_two_artifacts() -> None:
    wanted = gguf(GGUFType.Q8_0)
    size = artifact_bytes(INSPECTION, wanted)
    content = INSPECTION.source_bytes + 2 * INSPECTION.parameters + 2 * size
    found = volume_bytes(INSPECTION, wanted)
    assert 0 <= found - (int(content * 1.1) + 256 * MIB) < MIB
    assert found % MIB == 0


def test_a_volume_of_safetensors_holds_no_conversion() -> None:
    wanted = made(Method.FP8)
    content = INSPECTION.source_bytes + 2 * artifact_bytes(INSPECTION, wanted)
    assert 0 <= volume_bytes(INSPECTION, wanted) - (int(content * 1.1) + 256 * MIB) < MIB


def test_a_volume_holds_what_serves_beside_what_is_made() -> None:
    wanted = gguf(GGUFType.Q4_K_M)
    more = 16_000_000_000 - artifact_bytes(LLAMA_3_8B, wanted)
    found = volume_bytes(LLAMA_3_8B, wanted, 16_000_000_000) - volume_bytes(LLAMA_3_8B, wanted)
    assert abs(found - 1.1 * more) <= MIB
