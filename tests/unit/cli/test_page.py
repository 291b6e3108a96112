from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from browser import samples
from qmodel.api.resource import QuantizedModel
from qmodel.api.source import Source
from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import QuantizedModelStatus
from qmodel.cli.page import build, comparison, facts, parameters, recipe, timing, weights
from qmodel.cli.page.answers import exchanges
from qmodel.cli.page.charts.base import NARROW, WIDE
from qmodel.cli.page.charts.memory import memory as memory_chart
from qmodel.cli.page.charts.quality import gauge as gauge_chart
from qmodel.cli.page.memory import Bar, Part, bars, gpu_bars
from qmodel.cli.page.quality import gauges
from qmodel.cli.page.subject import Subject
from qmodel.cli.page.theme import PARTS
from qmodel.worker.details import LayerError
from qmodel.worker.parameters import Parameter

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MIB = samples.MIB


def parts(of: Subject, found: Callable[..., list[Bar]] = bars) -> dict[str, dict[str, int]]:
    return {
        bar.label: {segment.part.name: segment.bytes // MIB for segment in bar.segments}
        for bar in found(of.model.status)
    }


def changed(of: Subject, **status: Any) -> Subject:
    model = of.model.model_copy(update={"status": of.model.status.model_copy(update=status)})
    return Subject(model, of.files, of.trouble)


def test_the_bars_of_memory_add_up_to_what_status_says() -> None:
    status = samples.q8().model.status
    sums = {bar.label: bar.bytes for bar in bars(status)}
    assert status.footprint is not None
    assert status.sizing is not None
    assert status.source is not None
    assert sums["Estimated"] == status.footprint.estimated_peak_bytes
    assert sums["Measured"] == status.footprint.peak_bytes
    assert sums["Requested"] == status.sizing.memory_bytes
    assert status.artifact is not None
    stored = status.footprint.weights_bytes / status.artifact.weight_bytes
    more = stored * status.source.weight_bytes - status.footprint.weights_bytes
    assert sums["Unquantized"] == pytest.approx(status.footprint.peak_bytes + more)


def test_what_is_served_as_it_is_takes_what_was_measured() -> None:
    """However much larger in memory its engine makes it."""
    model = samples.q8().model
    assert model.status.artifact is not None
    taken = model.status.artifact.updated({"weight_bytes": model.status.source.weight_bytes})
    sums = {bar.label: bar.bytes for bar in bars(model.status.updated({"artifact": taken}))}
    assert sums["Unquantized"] == sums["Measured"]


MEASURED = [
    ("fp8", 163, 477, 1550, 1550),
    ("bnb-int8", 164, 598, 1671, 1586),
    ("int8", 163, 331, 1404, 1586),
    ("gptq", 113, 272, 1345, 1586),
    ("awq", 114, 395, 1468, 1586),
    ("nf4", 112, 262, 1335, 1586),
]
"""Of docs/methods.md on two cores: megabytes of the file, MiB of the server and of its weights,
which are what of it is beyond the rest of the unquantized one (1543, of which 470 are weights)."""


@pytest.mark.parametrize(("name", "stored", "weights", "peak", "unquantized"), MEASURED)
def test_no_method_makes_the_unquantized_server_larger_than_it_is(
    name: str, stored: int, weights: int, peak: int, unquantized: int
) -> None:
    """It really takes 1543 MiB. FP8 is unpacked to 16 bits, and grows no more."""
    (bar,) = (bar for bar in bars(on_cpu(stored, weights, peak)) if bar.label == "Unquantized")
    assert round(bar.bytes / MIB) == unquantized, name
    assert bar.bytes / MIB == pytest.approx(1543, rel=0.03)


def test_the_weights_of_an_unquantized_server_in_float32_are_twice_as_large() -> None:
    wide = on_cpu(163, 600, 1680, "--dtype", "float32")
    assert bars(wide)[0].bytes // MIB == 1680 + 390


def on_cpu(stored: int, weights: int, peak: int, *more: str) -> QuantizedModelStatus:
    """A server of vLLM's on a CPU: megabytes of its file, MiB of weights and of all it takes."""
    status = samples.awq().model.status
    assert status.footprint is not None
    assert status.artifact is not None
    sizes = {"weights_bytes": weights * MIB, "peak_bytes": peak * MIB}
    footprint = status.footprint.model_copy(update=sizes | {"argv": ["server", *more]})
    artifact = status.artifact.model_copy(update={"weight_bytes": stored * 1_000_000})
    return status.model_copy(update={"footprint": footprint, "artifact": artifact})


def test_each_bar_is_split_as_far_as_it_is_known() -> None:
    found = parts(samples.q8())
    assert found["Measured"] == {"WEIGHTS": 136, "KV": 90, "COMPUTE": 18, "OTHER": 26}
    assert found["Estimated"] == {"WEIGHTS": 138, "KV": 90, "UNSPLIT": 86}
    assert found["Requested"] == {"WEIGHTS": 136, "KV": 90, "UNSPLIT": 44, "MARGIN": 40}


def test_the_host_of_a_server_on_gpus_is_held_against_the_host_alone() -> None:
    assert parts(samples.fp8()) == {
        "Estimated": {"HOST": 2138},
        "Measured": {"HOST": 2054},
        "Requested": {"HOST": 2054, "MARGIN": 93},
    }


def test_gpus_are_held_against_what_was_expected_of_gpus() -> None:
    found = parts(samples.fp8(), gpu_bars)
    assert found["Unquantized"] == {"WEIGHTS": 256, "KV": 90, "COMPUTE": 126, "OTHER": 827}
    assert found["Estimated"] == {"WEIGHTS": 138, "KV": 90, "UNSPLIT": 1034}
    assert found["Measured"] == {"WEIGHTS": 138, "KV": 90, "COMPUTE": 126, "OTHER": 827}
    assert found["Predicted"] == {"WEIGHTS": 138, "KV": 180, "UNSPLIT": 953}
    assert gpu_bars(samples.q8().model.status) == []


def test_what_llama_cpp_keeps_on_the_host_is_not_counted_on_the_gpu() -> None:
    footprint = samples.q8().model.status.footprint
    assert footprint is not None
    split = {"other_bytes": 200 * MIB, "peak_bytes": 240 * MIB, "device_bytes": 700 * MIB}
    on_gpu = changed(samples.q8(), footprint=footprint.model_copy(update=split))
    assert parts(on_gpu)["Measured"] == {"WEIGHTS": 40, "HOST": 200}
    measured = parts(on_gpu, gpu_bars)["Measured"]
    assert measured == {"WEIGHTS": 96, "KV": 90, "COMPUTE": 18, "OTHER": 496}


def test_a_measurement_of_an_older_operator_has_no_estimate_of_gpus() -> None:
    footprint = samples.fp8().model.status.footprint
    assert footprint is not None
    older = footprint.model_copy(update={"estimated_device_bytes": None})
    found = parts(changed(samples.fp8(), footprint=older), gpu_bars)
    assert list(found) == ["Unquantized", "Measured", "Predicted"]


def test_every_part_of_memory_has_a_colour_of_its_own() -> None:
    assert set(PARTS) == set(Part)
    assert len(set(PARTS.values())) == len(PARTS)


def test_host_and_gpu_memory_are_compared_apart() -> None:
    models = [samples.fp8().model, samples.q8().model]
    found = {
        line.name: [cell.text for cell in line.cells]
        for line in comparison.lines(models)
        if "memory" in line.name.lower()
    }
    assert found == {
        "Host memory, measured": ["2,054 MiB", "270 MiB"],
        "Host memory, requested": ["2,148 MiB", "310 MiB"],
        "GPU memory, measured": ["1,181 MiB", ""],
        "GPU memory, predicted": ["1,271 MiB", ""],
    }
    alone = [line.name for line in comparison.lines(models[1:])]
    assert [name for name in alone if "emory" in name] == ["Memory, measured", "Memory, requested"]


def test_tiles_tell_the_hosts_memory_from_that_of_gpus() -> None:
    tiles = {tile.label: (tile.value, tile.note) for tile in facts.tiles(samples.fp8().model)}
    assert tiles["Host memory"] == ("2,054 MiB", "limit 2,148 MiB")
    assert tiles["GPU memory"] == ("1,181 MiB", "on 1 x nvidia.com/gpu")
    assert "Memory" in {tile.label for tile in facts.tiles(samples.q8().model)}


def test_nothing_measured_draws_no_memory() -> None:
    assert bars(changed(samples.q8(), footprint=None).model.status) == []


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_segments_lie_end_to_end(width: int) -> None:
    found = bars(samples.awq().model.status)
    rows = memory_chart(found, width)["layer"][0]["data"]["values"]
    for bar in found:
        mine = [row for row in rows if row["bar"] == bar.label]
        assert mine[0]["start"] == 0
        assert [row["start"] for row in mine[1:]] == [row["end"] for row in mine[:-1]]
        assert mine[-1]["end"] == pytest.approx(bar.bytes / MIB)


def test_a_gate_shuts_on_its_own_side() -> None:
    ratio, divergence, agreement = gauges(samples.awq().model)
    assert [gauge.passes for gauge in (ratio, divergence, agreement)] == [False, False, False]
    assert (ratio.bound, agreement.bound) == ("at most 1.05", "at least 0.9")
    low, high = ratio.interval
    assert (low, high) == pytest.approx((1.0612 - 1.96 * 0.0071, 1.0612 + 1.96 * 0.0071))
    (row,) = gauge_chart({"a": ratio}, NARROW)["data"]["values"]
    assert row["gate"] == 1.05
    assert row["shut"] > row["gate"]
    (row,) = gauge_chart({"a": agreement}, NARROW)["data"]["values"]
    assert row["shut"] < row["gate"] == 0.9


def test_a_value_at_its_bound_passes() -> None:
    evaluation = samples.q8().model.status.evaluation
    assert evaluation is not None
    at_bound = evaluation.model_copy(update={"perplexity_ratio": "1.05"})
    assert gauges(changed(samples.q8(), evaluation=at_bound).model)[0].passes


def test_what_was_not_compared_has_no_gauges() -> None:
    evaluation = samples.q8().model.status.evaluation
    assert evaluation is not None
    as_it_is = evaluation.model_copy(update={"applicable": False})
    assert gauges(changed(samples.q8(), evaluation=as_it_is).model) == []
    assert gauges(changed(samples.q8(), evaluation=None).model) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.layers.3.self_attn.q_proj.weight", "q_proj"),
        ("model.layers.3.self_attn.q_proj.weight_packed", "q_proj"),
        ("blk.11.ffn_down.weight", "ffn_down"),
        ("model.layers.3.mlp.experts.17.up_proj.weight", "experts.up_proj"),
        ("lm_head", "lm_head"),
    ],
)
def test_a_tensor_is_named_by_what_it_is(name: str, kind: str) -> None:
    assert weights.kind(name) == kind


def layer(name: str, error: float) -> LayerError:
    return LayerError(name=name, shape=[2, 2], type="int4", bits=4, bytes=2, relative_error=error)


def test_the_experts_of_a_layer_are_one_point() -> None:
    layers = [layer(f"model.layers.5.mlp.experts.{n}.up_proj.weight", 0.1 * n) for n in (1, 3)]
    layers.append(layer("model.norm.weight", 0.5))
    (point,) = weights.points(layers)
    assert (point.kind, point.depth) == ("experts.up_proj", 5)
    assert point.error == pytest.approx(0.2)


def test_the_page_says_where_it_shows_a_sample_of_the_weights() -> None:
    whole = samples.q8()
    details = whole.files.details
    assert details is not None
    part = details.model_copy(update={"layers": details.layers[:16], "quantized_layers": 560})
    files = whole.files.model_copy(update={"details": part})
    page = build.report(Subject(whole.model, files), NOW)
    assert "A sample: 16 of 560 weights;" in page
    assert "Relative error of 16 of 560 weights by layer" in page
    everything = build.report(whole, NOW)
    assert "A sample:" not in everything
    assert "Relative error of 210 weights by layer" in everything


def test_work_lies_inside_its_job() -> None:
    found = timing.spans(samples.q8().model.status)
    assert [span.name for span in found] == [
        "inspect Job",
        "fetch Job",
        "quantize Job",
        "quantizing",
        "evaluating",
        "measure Job",
    ]
    job, made, judged = found[2:5]
    assert (made.start, made.seconds) == (job.start, 27)
    assert judged.start + judged.seconds == job.start + job.seconds
    assert timing.total_seconds(found) == 9 + 12 + 105 + 107


def test_the_recipe_is_what_was_written_with_its_commit() -> None:
    written = yaml.safe_load(recipe.manifest(samples.q8().model))
    assert written == {
        "apiVersion": "qmodel.dev/v1alpha1",
        "kind": "QuantizedModel",
        "metadata": {"name": "smollm2-q8", "namespace": "demo"},
        "spec": {
            "source": {
                "huggingFace": {
                    "repository": "HuggingFaceTB/SmolLM2-135M-Instruct",
                    "revision": "ef785d84079a5a321fb2676c31a1f490af0559c2",
                }
            },
            "quantization": {"method": "GGUF", "gguf": {"type": "Q8_0"}},
            "serving": {"contextLength": 4096},
        },
    }
    assert QuantizedModelSpec.model_validate(written["spec"])


@pytest.mark.parametrize("reference", ["registry.example/models/m:v1", "registry.example/models/m"])
def test_the_recipe_of_a_registry_names_the_digest(reference: str) -> None:
    written = yaml.safe_load(recipe.manifest(from_source({"oci": {"reference": reference}})))
    revision = samples.q8().model.status.source.source_revision
    assert written["spec"]["source"]["oci"]["reference"] == f"{reference}@{revision}"


def test_the_recipe_of_a_bucket_tells_the_digest_of_its_files() -> None:
    told = recipe.manifest(from_source({"s3": {"uri": "s3://models/m"}}))
    revision = samples.q8().model.status.source.source_revision
    assert told.startswith(f"# made of files with the digest {revision}\n")
    assert yaml.safe_load(told)["spec"]["source"] == {"s3": {"uri": "s3://models/m"}}


def from_source(source: dict[str, Any]) -> QuantizedModel:
    model = samples.q8().model
    return model.model_copy(
        update={"spec": model.spec.model_copy(update={"source": Source.model_validate(source)})}
    )


def test_parameters_that_differ_by_number_are_one_line() -> None:
    found = [
        Parameter(name=f"layers.{n}.q.weight", dtype="I32", shape=[8, 4], bytes=16, bits=4)
        for n in range(3)
    ]
    found.append(Parameter(name="norm.weight", dtype="BF16", shape=[8], bytes=16))
    assert [(g.name, g.count, g.bits, g.shape, g.bytes) for g in parameters.groups(found)] == [
        ("layers.*.q.weight", 3, "4 bits", "8 × 4", 48),  # noqa: RUF001
        ("norm.weight", 1, "kept", "8", 16),
    ]


def test_an_answer_is_marked_from_the_first_word_that_differs() -> None:
    first, _, poem = exchanges([samples.q8()])
    assert first.agree
    assert not poem.agree
    _, reply = poem.replies
    assert reply.same.endswith("\nWhere waves ")
    assert reply.other.startswith("dance on")
    assert reply.same + reply.other == samples.ANSWERS[2][2]


def test_several_models_answer_one_prompt_together() -> None:
    found = exchanges([samples.q8(), samples.awq()])
    assert len(found) == len(samples.ANSWERS)
    assert [reply.by for reply in found[0].replies] == ["Unquantized", "smollm2-q8", "smollm2-awq"]


def test_the_best_of_each_line_is_marked_and_a_missed_gate_never() -> None:
    models = [each().model for each in (samples.q8, samples.awq, samples.nf4)]
    found = {line.name: line.cells for line in comparison.lines(models)}
    assert [cell.best for cell in found["Weights"]] == [False, True, False]
    assert [cell.best for cell in found["Generation"]] == [False, True, False]
    assert [cell.best for cell in found["Perplexity ratio"]] == [True, False, False]
    assert [cell.tone for cell in found["Perplexity ratio"]] == ["", "bad", ""]


@pytest.mark.parametrize(
    ("quantization", "words"),
    [
        ({"method": "GGUF", "gguf": {"type": "Q8_0"}}, "GGUF Q8_0"),
        (
            {"method": "GGUF", "gguf": {"type": "Q4_K_M", "importanceMatrix": True}},
            "GGUF Q4_K_M, with an importance matrix",
        ),
        ({"method": "AWQ"}, "AWQ, 4 bits, groups of 128, asymmetric"),
        (
            {"method": "GPTQ", "gptq": {"groupSize": -1, "descActOrder": False}},
            "GPTQ, 4 bits, one group a row, symmetric",
        ),
        ({"method": "BitsAndBytes"}, "bitsandbytes NF4, double quantization"),
        ({"method": "BitsAndBytes", "bitsAndBytes": {"type": "INT8"}}, "bitsandbytes INT8"),
        ({"method": "FP8"}, "FP8"),
        ({"method": "None"}, "as it is"),
    ],
)
def test_a_recipe_in_words(quantization: dict[str, Any], words: str) -> None:
    spec = {"source": {"huggingFace": {"repository": "a/b"}}, "quantization": quantization}
    assert facts.recipe(QuantizedModelSpec.model_validate(spec).quantization) == words


@pytest.mark.parametrize("make", ["report", "compare"])
def test_no_text_becomes_markup(make: str) -> None:
    page = (
        build.report(samples.evil(), NOW)
        if make == "report"
        else build.compare([samples.evil(), samples.q8()], NOW)
    )
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_missed_gate_is_told_in_words_beside_its_colour() -> None:
    told = ' <span aria-hidden="true">✗</span><span class="unseen">misses the gate</span></'
    assert build.compare([samples.q8(), samples.awq()], NOW).count(told) == 3
    assert build.report(samples.awq(), NOW).count(told) == 6
    assert told not in build.report(samples.q8(), NOW)


def test_the_page_needs_nothing_and_lets_nothing_run() -> None:
    page = build.report(samples.q8(), NOW)
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "url(" not in page
    assert len(page.encode()) < 600_000


def test_a_model_that_nobody_has_looked_at_has_a_page() -> None:
    model = samples.q8().model
    fresh = QuantizedModel(
        name="new",
        namespace="demo",
        uid="u",
        generation=1,
        spec=model.spec,
        status=type(model.status)(),
    )
    page = build.report(Subject(fresh, trouble="There is no artifact yet."), NOW)
    assert "no operator has looked at it yet" in page
    assert "There is no artifact yet." in page
    assert Part.KV.value not in page
