import io
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from browser import samples
from qmodel.cli import report
from unit.cli.models import failed, model, status

KV = {"fullLayers": 30, "kvHeads": 3, "keyHeadDim": 64, "valueHeadDim": 64}
SOURCE = {
    "key": "k",
    "sourceRevision": "main",
    "sourceDigest": "d",
    "sourceBytes": 271_000_000,
    "format": "safetensors",
    "architecture": "LlamaForCausalLM",
    "parameters": 134_515_008,
    "weightBytes": 269_000_000,
    "hiddenSize": 576,
    "layers": 30,
    "vocabularySize": 49152,
    "contextLength": 8192,
    "kv": KV,
    "chatTemplate": True,
}
ARTIFACT = {
    "revision": "r",
    "modelPath": "model.gguf",
    "files": 2,
    "bytes": 145_000_000,
    "weightBytes": 134_500_000,
    "digest": "d",
    "seconds": 4.0,
    "peakBytes": 1,
}
EVALUATION = {
    "revision": "r",
    "key": "k",
    "basePerplexity": "12.1",
    "perplexity": "12.3",
    "perplexityRatio": "1.016",
    "perplexityRatioError": "0.002",
    "meanKLDivergence": "0.011",
    "meanKLDivergenceError": "0.001",
    "topTokenAgreement": "0.95",
    "topTokenAgreementError": "0.004",
    "tokens": 4096,
}
FOOTPRINT = {
    "revision": "r",
    "image": "i",
    "engine": "LlamaCpp",
    "key": "k",
    "argv": ["llama-server"],
    "contextLength": 2048,
    "concurrency": 2,
    "weightsBytes": 140 * 2**20,
    "kvBytes": 90 * 2**20,
    "computeBytes": 100 * 2**20,
    "otherBytes": 30 * 2**20,
    "peakBytes": 360 * 2**20,
    "estimatedPeakBytes": 420 * 2**20,
    "kvBytesPerToken": 23040,
    "loadSeconds": 0.4,
    "firstTokenSeconds": 0.05,
    "promptTokensPerSecond": 300.0,
    "tokensPerSecond": 41.2,
    "engineVersion": "b1",
    "seconds": 9.0,
}
SIZING = {
    "contextLength": 4096,
    "concurrency": 2,
    "predictedPeakBytes": 450 * 2**20,
    "memoryBytes": 496 * 2**20,
    "kvBytes": 180 * 2**20,
    "cpu": "1",
}
STEP = {
    "name": "fetch",
    "key": "k",
    "attempts": 1,
    "image": "i",
    "memoryBytes": 1,
    "started": "2026-01-01T00:00:00+00:00",
    "finished": "2026-01-01T00:00:08+00:00",
}
READY = status(8)
WHOLE = {
    "source": SOURCE,
    "artifact": ARTIFACT,
    "evaluation": EVALUATION,
    "footprint": FOOTPRINT,
    "sizing": SIZING,
    "steps": [STEP],
}


def values(status: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value, _ in report.lines(model(status))}


def test_everything_that_is_known_has_a_line() -> None:
    assert values(WHOLE | READY) == {
        "Weights before": "269 MB",
        "Weights after": "134 MB",
        "Perplexity ratio": "1.016 ± 0.002",
        "Mean KL divergence": "0.011 ± 0.001",
        "Top-token agreement": "0.95 ± 0.004",
        "Memory estimated": "420 MiB",
        "Memory measured": "360 MiB",
        "Memory predicted": "450 MiB",
        "Memory requested": "496Mi",
        "Generation": "41 tokens/s",
        "Jobs": "8 s",
    }


def test_what_is_not_known_yet_is_left_out() -> None:
    assert values(READY) == {}
    assert list(values(READY | {"source": SOURCE})) == ["Weights before"]


def test_what_keeps_a_model_from_being_ready_stands_first() -> None:
    assert list(report.lines(model({}))) == [("State", "New", "no operator has looked at it yet")]
    below = failed(3, "BelowGate", "perplexity ratio is 1.3")
    first = next(report.lines(model(below | {"source": SOURCE})))
    assert first == ("State", "BelowGate", "perplexity ratio is 1.3")


def test_notes_are_folded_where_a_terminal_is_narrow() -> None:
    console = Console(width=36, file=io.StringIO())
    console.print(report.table(model(READY | {"source": SOURCE})))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in text
    assert "usalLM" in text


@pytest.mark.parametrize(
    "message", ["no such token: [/INST]", "[/models/x]", "[core.py:1108] died", "at :100: of it"]
)
def test_what_a_cluster_says_is_shown_as_it_stands(message: str) -> None:
    assert message in printed(report.table(model(failed(4, "MeasureFailed", message))))


def test_what_is_best_and_what_misses_its_gate_is_told_without_colours() -> None:
    text = printed(report.comparison([samples.q8().model, samples.awq().model]))
    ratio = next(line for line in text.splitlines() if "Perplexity ratio" in line)
    assert "1.0027 ± 0.0020 ✓" in ratio
    assert "1.0612 ± 0.0071 ✗" in ratio
    assert text.splitlines()[-1].strip() == "✓ the best of its line   ✗ misses the gate"
    alone = printed(report.comparison([samples.q8().model]))
    assert not {"✓", "✗"} & set(alone)


def printed(table: Table) -> str:
    """What stands in a file, or on a terminal without colours."""
    out = io.StringIO()
    Console(file=out, width=140, highlight=False).print(table)
    return out.getvalue()


def test_a_source_served_as_it_is_has_no_quality_to_compare() -> None:
    as_it_is = {"revision": "r", "key": "k", "applicable": False}
    assert "Perplexity ratio" not in values(WHOLE | {"evaluation": as_it_is})


def test_host_and_gpu_memory_have_lines_of_their_own() -> None:
    found = {name: rest for name, *rest in report.lines(samples.fp8().model) if "memory" in name}
    assert found == {
        "Host memory estimated": ["2,138 MiB", "before it was measured"],
        "Host memory measured": ["2,054 MiB", "peak at 1 x 4096 tokens: other 2,054 MiB"],
        "Host memory predicted": ["2,054 MiB", "for 2 x 4096 tokens"],
        "Host memory requested": ["2148Mi", "request and limit of one server"],
        "GPU memory estimated": ["1,263 MiB", "before it was measured"],
        "GPU memory measured": [
            "1,181 MiB",
            (
                "peak at 1 x 4096 tokens: "
                "weights 138 MiB, KV cache 90 MiB, compute 126 MiB, other 827 MiB"
            ),
        ],
        "GPU memory predicted": ["1,271 MiB", "for 2 x 4096 tokens"],
    }
