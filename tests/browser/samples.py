"""Models as a cluster would show them: the figures of SmolLM2-135M-Instruct, weights by a seed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qmodel.api.resource import QuantizedModel
from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import QuantizedModelStatus
from qmodel.cli.artifact import ArtifactFiles
from qmodel.cli.page.subject import Subject
from qmodel.sizing.margin import memory_limit_bytes
from qmodel.worker.parameters import Parameter, Parameters

REVISION = "1c25ad637f"
MIB = 2**20
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
KINDS = {
    "q_proj": (576, 576),
    "k_proj": (192, 576),
    "v_proj": (192, 576),
    "o_proj": (576, 576),
    "gate_proj": (1536, 576),
    "up_proj": (1536, 576),
    "down_proj": (576, 1536),
}
GGUF_NAMES = dict(
    zip(
        KINDS,
        ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"),
        strict=True,
    )
)
LAYERS = 30
NF4 = (
    *(-1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911),
    *(0.0, 0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1.0),
)
"""Levels of arXiv 2305.14314, appendix E, to four places."""
SOURCE = {
    "key": "k",
    "sourceRevision": "ef785d84079a5a321fb2676c31a1f490af0559c2",
    "sourceDigest": "0123456789abcdef",
    "sourceBytes": 271_000_000,
    "format": "safetensors",
    "architecture": "LlamaForCausalLM",
    "parameters": 134_515_008,
    "weightBytes": 269_030_016,
    "hiddenSize": 576,
    "layers": LAYERS,
    "vocabularySize": 49152,
    "contextLength": 8192,
    "kv": {"fullLayers": 30, "kvHeads": 3, "keyHeadDim": 64, "valueHeadDim": 64},
    "chatTemplate": True,
}
ANSWERS = (
    (
        "Complete: The capital of France is",
        "The capital of France is Paris.",
        "The capital of France is Paris.",
    ),
    (
        "How many days are in a week?",
        "There are 7 days in a week.",
        "There are 7 days in a week.",
    ),
    (
        "Write a short poem about the sea.",
        (
            "The sea, a vast and endless stage,\nWhere waves crash loud and wild with rage.\n"
            "The gulls above in circles fly,\nBeneath a wide and open sky."
        ),
        (
            "The sea, a vast and endless stage,\nWhere waves dance on and on in age.\n"
            "The salt, the wind, the open air,\nA song of freedom everywhere."
        ),
    ),
)
BOUNDS = {
    "maxPerplexityRatio": "1.05",
    "maxMeanKLDivergence": "0.05",
    "minTopTokenAgreement": "0.90",
}


def q8() -> Subject:
    """Return GGUF Q8_0, as the demo measured it."""
    quantization = {"method": "GGUF", "gguf": {"type": "Q8_0"}}
    quality = ("1.0027", "0.0020", "0.0048", "0.0004", "0.9506", "0.0070")
    footprint = _footprint("LlamaCpp", "b9042", (136, 90, 18, 26), 315, 16.1)
    status = _status(144_811_872, quality, footprint, (27.0, 76.0), BOUNDS)
    files = {
        "details.json": _details(
            "Q8_0", 8.5, _uniform(127), 32, lambda k, n: f"blk.{n}.{k}.weight"
        ),
        "parameters.json": _parameters(8.5, "Q8_0"),
    }
    return _subject("smollm2-q8", quantization, status, files)


def awq() -> Subject:
    """Return 4-bit AWQ, that misses its gate."""
    quantization = {"method": "AWQ", "awq": {"bits": 4, "groupSize": 64}}
    quality = ("1.0612", "0.0071", "0.0633", "0.0038", "0.8641", "0.0109")
    footprint = _footprint("VLLM", "0.32.0", (107, 90, 212, 1430), 2100, 31.0)
    status = _status(110_430_208, quality, footprint, (310.0, 95.0), BOUNDS)
    status["artifact"] |= {"calibration": "SelfDrawn", "calibrationSamples": 128}
    files = {
        "details.json": _details("int4", 4.31, _uniform(7), 64, _torch_name),
        "parameters.json": _parameters(4.31, "I32"),
        "provenance.json": {"libraries": {"llmcompressor": "0.14.0.1", "torch": "2.13.0"}},
    }
    return _subject("smollm2-awq", quantization, status, files)


def nf4() -> Subject:
    """Return bitsandbytes NF4."""
    quantization = {"method": "BitsAndBytes", "bitsAndBytes": {"type": "NF4"}}
    quality = ("1.0498", "0.0062", "0.0492", "0.0031", "0.9021", "0.0100")
    footprint = _footprint("VLLM", "0.32.0", (107, 90, 212, 1520), 2100, 12.0)
    status = _status(111_905_792, quality, footprint, (14.0, 88.0), BOUNDS)
    files = {
        "details.json": _details("nf4", 4.13, lambda _: np.array(NF4), 64, _torch_name),
        "parameters.json": _parameters(4.13, "U8"),
    }
    return _subject("smollm2-nf4", quantization, status, files)


def fp8() -> Subject:
    """Return FP8 on a GPU, where the host holds no weights."""
    quality = ("1.0031", "0.0021", "0.0051", "0.0005", "0.9490", "0.0071")
    footprint = _footprint("VLLM", "0.33.0", (138, 90, 126, 0), 2138, 430.0)
    on_gpu = {"otherBytes": 2054 * MIB, "peakBytes": 2054 * MIB, "deviceBytes": 1181 * MIB}
    footprint |= on_gpu | {"estimatedDeviceBytes": 1263 * MIB}
    status = _status(144_811_872, quality, footprint, (14.0, 60.0), BOUNDS)
    status["sizing"] |= {"deviceBytes": 1271 * MIB, "kvBytes": 180 * MIB, "concurrency": 2}
    status["accelerator"] = {
        "key": "k",
        "type": "GPU",
        "resourceName": "nvidia.com/gpu",
        "count": 1,
        "reason": "asked for: 1 x nvidia.com/gpu",
    }
    files = {"details.json": _details("fp8", 8.0, _uniform(127), 64, _torch_name)}
    return _subject("smollm2-fp8", {"method": "FP8"}, status, files)


def evil() -> Subject:
    """A model whose every free text tries to become markup."""
    sample = nf4()
    details = sample.files.details
    assert details is not None
    assert details.example_layer is not None
    answer = details.answers[0].model_copy(
        update={"prompt": EVIL, "base": EVIL, "quantized": f"{EVIL}!"}
    )
    bad = details.layers[0].model_copy(update={"name": f"a.0.{EVIL}", "type": EVIL})
    example = details.example_layer.model_copy(update={"name": EVIL, "type": EVIL})
    changes = {"answers": [answer], "layers": [bad], "example_layer": example}
    parameter = Parameter(name=EVIL, dtype=EVIL, shape=[1], bytes=1)
    listed = Parameters(parameters=[parameter])
    files = ArtifactFiles(details=details.model_copy(update=changes), listed=listed)
    model = sample.model.model_copy(update={"name": EVIL, "namespace": EVIL})
    return Subject(model, files, trouble=EVIL)


def _subject(
    name: str, quantization: dict[str, Any], status: dict[str, Any], files: dict[str, Any]
) -> Subject:
    model = QuantizedModel(
        name=name,
        namespace="demo",
        uid="uid-1",
        generation=1,
        spec=QuantizedModelSpec.model_validate(
            {
                "source": {"huggingFace": {"repository": "HuggingFaceTB/SmolLM2-135M-Instruct"}},
                "quantization": quantization,
                "serving": {"contextLength": 4096},
            }
        ),
        status=QuantizedModelStatus.model_validate(status),
    )
    return Subject(model, ArtifactFiles.model_validate(files))


def _status(
    weight_bytes: int,
    quality: Sequence[str],
    footprint: dict[str, Any],
    seconds: tuple[float, float],
    bounds: dict[str, str],
) -> dict[str, Any]:
    made, judged = seconds
    return {
        "observedGeneration": 1,
        "revision": REVISION,
        "engine": footprint["engine"],
        "conditions": [_ready(within=float(quality[0]) <= float(bounds["maxPerplexityRatio"]))],
        "steps": [
            _step("inspect", 0, 9),
            _step("fetch", 10, 22),
            _step("quantize", 24, 26 + made + judged),
            _step("measure", 28 + made + judged, 135 + made + judged),
        ],
        "source": SOURCE,
        "artifact": _artifact(weight_bytes, made),
        "evaluation": _evaluation(quality, judged),
        "qualityBounds": bounds,
        "footprint": footprint,
        "sizing": _sizing(footprint["peakBytes"]),
    }


def _ready(*, within: bool) -> dict[str, Any]:
    return {
        "type": "Ready",
        "status": "True" if within else "False",
        "reason": "Serving" if within else "BelowGate",
        "message": "" if within else "perplexity ratio is 1.0612, allowed is at most 1.05",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:06:00Z",
    }


def _artifact(weight_bytes: int, seconds: float) -> dict[str, Any]:
    return {
        "revision": REVISION,
        "modelPath": ".",
        "files": 7,
        "bytes": weight_bytes + 3_000_000,
        "weightBytes": weight_bytes,
        "digest": "d",
        "seconds": seconds,
        "peakBytes": 900 * MIB,
    }


def _evaluation(quality: Sequence[str], seconds: float) -> dict[str, Any]:
    fields = ("perplexityRatio", "meanKLDivergence", "topTokenAgreement")
    figures = {name: quality[2 * at] for at, name in enumerate(fields)}
    errors = {f"{name}Error": quality[2 * at + 1] for at, name in enumerate(fields)}
    return {
        "revision": REVISION,
        "key": "k",
        "basePerplexity": "15.4587",
        "perplexity": f"{15.4587 * float(quality[0]):.4f}",
        **figures,
        **errors,
        "tokens": 3644,
        "text": "BuiltIn",
        "seconds": seconds,
    }


def _sizing(peak_bytes: int) -> dict[str, Any]:
    return {
        "contextLength": 4096,
        "concurrency": 1,
        "predictedPeakBytes": peak_bytes,
        "memoryBytes": memory_limit_bytes(peak_bytes),
        "kvBytes": 90 * MIB,
        "cpu": "250m",
    }


def _step(name: str, started: float, finished: float) -> dict[str, Any]:
    def clock(seconds: float) -> str:
        return f"2026-01-01T00:{int(seconds) // 60:02}:{int(seconds) % 60:02}+00:00"

    return {
        "name": name,
        "key": "k",
        "attempts": 1,
        "image": "example/worker:1",
        "memoryBytes": 512 * MIB,
        "started": clock(started),
        "finished": clock(finished),
    }


def _footprint(
    engine: str, version: str, parts: tuple[int, int, int, int], estimated: int, speed: float
) -> dict[str, Any]:
    weights, kv, compute, other = parts
    return {
        "revision": REVISION,
        "image": "example/server:1",
        "engine": engine,
        "argv": ["server"],
        "key": "k",
        "estimatedPeakBytes": estimated * MIB,
        "contextLength": 4096,
        "concurrency": 1,
        "weightsBytes": weights * MIB,
        "kvBytes": kv * MIB,
        "computeBytes": compute * MIB,
        "otherBytes": other * MIB,
        "peakBytes": sum(parts) * MIB,
        "kvBytesPerToken": 23_040,
        "loadSeconds": 1.0,
        "firstTokenSeconds": 0.43,
        "promptTokensPerSecond": 3.1 * speed,
        "tokensPerSecond": speed,
        "engineVersion": version,
        "seconds": 100.0,
    }


def _torch_name(kind: str, layer: int) -> str:
    kind = next(name for name, gguf in GGUF_NAMES.items() if gguf == kind)
    block = "mlp" if kind in {"gate_proj", "up_proj", "down_proj"} else "self_attn"
    return f"model.layers.{layer}.{block}.{kind}.weight"


def _uniform(half: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda _: np.arange(-half, half + 1) / half


def _details(
    kind: str,
    bits: float,
    grid: Callable[[np.ndarray], np.ndarray],
    group_size: int,
    name: Callable[[str, int], str],
) -> dict[str, Any]:
    generator = np.random.default_rng(7)
    weights = generator.standard_t(6, 60_000) * 0.06
    typical = float(np.median(np.abs(weights[: 64 * 256].reshape(-1, group_size)).max(axis=1)))
    counts, edges = np.histogram(weights, bins=100, range=(-0.3, 0.3))
    levels = {
        "artifact": (grid(weights) * typical).tolist(),
        "NF4": [level * typical for level in NF4],
        "INT4": (np.arange(-8, 8) / 8 * typical).tolist(),
        "k-means": np.sort(np.quantile(weights, (np.arange(16) + 0.5) / 16) * 1.5).tolist(),
    }
    error = {8.5: 0.0045}.get(bits, 0.09)
    layers = [
        {
            "name": name(GGUF_NAMES[weight], layer),
            "shape": list(shape),
            "type": kind,
            "bits": bits,
            "bytes": round(shape[0] * shape[1] * bits / 8),
            "relativeError": error
            * (
                1
                + 0.12 * position
                + abs(generator.normal()) * (0.3 if layer in {0, 1, 29} else 0.05)
            ),
        }
        for layer in range(LAYERS)
        for position, (weight, shape) in enumerate(KINDS.items())
    ]
    return {
        "answers": [
            {"prompt": prompt, "base": base, "quantized": quantized}
            for prompt, base, quantized in ANSWERS
        ],
        "layers": layers,
        "quantizedLayers": len(layers),
        "exampleLayer": {
            "name": name("attn_q", 14),
            "type": kind,
            "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
            "levels": levels,
            "groupSize": group_size,
        },
        "timings": {"load": 3.0, "compare": 60.0, "answers": 9.0, "layers": 4.0},
    }


def _parameters(bits: float, dtype: str) -> dict[str, Any]:
    embedding = {"name": "model.embed_tokens.weight", "dtype": "BF16", "shape": [49152, 576]}
    found: list[dict[str, Any]] = [{**embedding, "bytes": 49152 * 576 * 2, "bits": None}]
    for layer in range(LAYERS):
        norm = f"model.layers.{layer}.input_layernorm.weight"
        found.append({"name": norm, "dtype": "BF16", "shape": [576], "bytes": 1152, "bits": None})
        for kind, (rows, columns) in KINDS.items():
            found.append(
                {
                    "name": _torch_name(GGUF_NAMES[kind], layer),
                    "dtype": dtype,
                    "shape": [rows, columns],
                    "bytes": round(rows * columns * bits / 8),
                    "bits": int(bits),
                }
            )
    return {"parameters": found}
