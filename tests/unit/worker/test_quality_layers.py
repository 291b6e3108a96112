from collections.abc import Iterator, Sequence
from io import StringIO
from math import prod
from pathlib import Path

import gguf
import numpy as np
import pytest

from qmodel.worker.backends.gguf_weights import StoredWeights
from qmodel.worker.details import MAX_BINS
from qmodel.worker.errors import EngineFailed
from qmodel.worker.parameters import Parameter
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.quality import layers, pair
from qmodel.worker.quality.answers import PROMPTS, answers
from qmodel.worker.quality.pair import Pair, require_same_tokens, rows_at_once
from qmodel.worker.quality.storage import Storage


class Arrays:
    """Weights that are arrays."""

    def __init__(self, **arrays: np.ndarray) -> None:
        self.arrays = arrays

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        weight = self.arrays[name]
        count = rows_at_once(weight.shape[1])
        for start in range(0, len(weight), count):
            yield weight[start : start + count]


class Says:
    """A model that says one thing and whose tokens are words."""

    def __init__(self, said: str | None, marker: str = "") -> None:
        self.said, self.marker = said, marker

    def tokenize(self, text: str) -> list[int]:
        return [len(word) for word in (self.marker + text).split()]

    def detokenize(self, tokens: Sequence[int]) -> str:
        return " ".join(map(str, tokens))

    def logits(self, tokens: Sequence[int]) -> Iterator[np.ndarray]:
        yield np.zeros((len(tokens), 4), np.float32)

    def draw(
        self, openers: Sequence[str], length: int, random: np.random.Generator
    ) -> list[list[int]]:
        return [list(random.integers(0, 4, size=length)) for _ in openers]

    def answers(self, prompts: Sequence[str], max_tokens: int) -> list[str] | None:
        if self.said is None:
            return None
        return [f"{self.said} to {prompt}"[: 10 * max_tokens] for prompt in prompts]


def normal(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, columns)).astype(np.float32)


def parameter(name: str, *shape: int) -> Parameter:
    return Parameter(name=name, dtype="U8", shape=list(shape), bytes=prod(shape) // 2, bits=4)


def loaded(base: Arrays, quantized: Arrays) -> Pair:
    return Pair(
        base=Says("four"),
        quantized=Says("five"),
        base_weights=base,
        quantized_weights=quantized,
        storage=lambda _: Storage("int4", 32),
    )


def quiet() -> ProgressPart:
    return Progress("evaluate", StringIO()).part(0.0, 1.0)


def test_relative_error_is_that_of_the_whole_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair, "BLOCK_ELEMENTS", 1000)
    weight, noise = normal(64, 96), 0.1 * normal(65, 96)[:64]
    found = layers.relative_error(loaded(Arrays(w=weight), Arrays(w=weight + noise)), "w")
    assert found == pytest.approx(np.linalg.norm(noise) / np.linalg.norm(weight), rel=1e-5)


def test_equal_and_empty_weights_have_no_error() -> None:
    zeros, weight = np.zeros((4, 8), np.float32), normal(4, 8)
    both = Arrays(zeros=zeros, weight=weight)
    assert layers.relative_error(loaded(both, both), "zeros") == 0
    assert layers.relative_error(loaded(both, both), "weight") == 0


def test_bits_count_all_that_is_stored_of_a_weight() -> None:
    both = Arrays(w=normal(8, 32))
    stored = Parameter(name="w", dtype="I32", shape=[8, 32], bytes=144, bits=4)
    (found,) = layers.errors(loaded(both, both), [stored], quiet())
    assert (found.bits, found.bytes, found.type) == (4.5, 144, "int4")


def test_weights_that_a_library_fused_are_left_out() -> None:
    both = Arrays(w=normal(8, 32))
    found = layers.errors(
        loaded(both, both), [parameter("w", 8, 32), parameter("x", 8, 32)], quiet()
    )
    assert [layer.name for layer in found] == ["w"]


def test_large_models_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [parameter(f"blk.{i}.w.weight", 10, 10) for i in range(20)]
    assert layers.chosen(every) == every
    monkeypatch.setattr(layers, "MAX_WEIGHTS", 500)
    found = [int(p.name.split(".")[1]) for p in layers.chosen(every)]
    assert found == [0, 4, 8, 12, 16]
    monkeypatch.setattr(layers, "MAX_LAYERS", 3)
    assert len(layers.chosen(every)) == 3
    assert layers.chosen([]) == []


@pytest.mark.parametrize("wanted", [1, 2, 3, 5, 7, 9])
def test_a_sample_has_every_kind_of_weight_in_whole_layers(
    monkeypatch: pytest.MonkeyPatch, wanted: int
) -> None:
    """Every seventh of seven weights in a layer would be the same one everywhere."""
    kinds = ("q", "k", "v", "o", "gate", "up", "down")
    every = [
        parameter(f"model.layers.{i}.{kind}_proj", 10, 10) for i in range(56) for kind in kinds
    ]
    monkeypatch.setattr(layers, "MAX_WEIGHTS", wanted * len(kinds) * 100)
    found = layers.chosen(every)
    depths = {name.split(".")[2] for name in (p.name for p in found)}
    assert wanted - 1 <= len(depths) <= wanted
    assert len(found) == len(kinds) * len(depths)
    assert found == [p for p in every if p.name.split(".")[2] in depths]


def test_a_sample_of_experts_has_the_other_kinds_too(monkeypatch: pytest.MonkeyPatch) -> None:
    every = []
    for i in range(8):
        every.append(parameter(f"model.layers.{i}.q_proj", 10, 10))
        every += [parameter(f"model.layers.{i}.experts.{e}.up_proj", 10, 10) for e in range(31)]
    every.append(parameter("lm_head", 1000, 10))
    monkeypatch.setattr(layers, "MAX_LAYERS", 10)
    found = layers.chosen(every)
    assert {p.name.split(".")[-1] for p in found} == {"q_proj", "up_proj", "lm_head"}
    assert 8 <= len(found) <= 10
    monkeypatch.setattr(layers, "MAX_WEIGHTS", 1)
    assert len(layers.chosen(every)) == 3


def test_example_is_the_middle_projection_down() -> None:
    names = [
        f"model.layers.{i}.mlp.{kind}_proj.weight" for i in range(3) for kind in ("up", "down")
    ]
    found = layers.example([parameter(name, 4, 4) for name in names])
    assert found is not None
    assert found.name == "model.layers.1.mlp.down_proj.weight"
    assert layers.example([]) is None


def test_example_layer_counts_every_weight_and_names_the_levels() -> None:
    weight = normal(512, 128)
    grid = np.round(weight * 2) / 2
    found = layers.example_layer(
        loaded(Arrays(w=weight), Arrays(w=grid)), parameter("w", *weight.shape)
    )
    assert sum(found.histogram.counts) == weight.size
    assert len(found.histogram.counts) == MAX_BINS
    assert set(found.levels) == {"artifact", "NF4", "INT4", "k-means"}
    assert {round(level * 2) / 2 for level in found.levels["artifact"]} == set(
        found.levels["artifact"]
    )
    assert found.group_size == 32


def test_answers_stand_side_by_side() -> None:
    both = loaded(Arrays(), Arrays())
    found = answers(both, quiet())
    assert [answer.prompt for answer in found] == list(PROMPTS)
    assert (found[0].base, found[0].quantized) == (f"four to {PROMPTS[0]}", f"five to {PROMPTS[0]}")


def test_model_without_a_chat_template_has_no_answers() -> None:
    silent = Pair(Says(None), Says(None), Arrays(), Arrays(), lambda _: Storage("int4", 32))
    assert answers(silent, quiet()) == []


def test_other_tokens_cannot_be_compared() -> None:
    other = Pair(Says(""), Says("", "x "), Arrays(), Arrays(), lambda _: Storage("int4", 32))
    with pytest.raises(EngineFailed, match="tokenizer is not the source's"):
        require_same_tokens(other, ("one text",))
    require_same_tokens(loaded(Arrays(), Arrays()), ("one text",))


def test_weights_of_gguf_files_are_unpacked_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair, "BLOCK_ELEMENTS", 64 * 10)
    path, weight = tmp_path / "model.gguf", normal(48, 64)
    stored = gguf.quantize(weight, gguf.GGMLQuantizationType.Q8_0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("w", stored, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    blocks = list(StoredWeights(path).blocks("w"))
    assert len(blocks) == 5
    unpacked = gguf.dequantize(stored, gguf.GGMLQuantizationType.Q8_0)
    assert np.array_equal(np.concatenate(blocks), unpacked)
    with pytest.raises(KeyError):
        next(StoredWeights(path).blocks("another"))
