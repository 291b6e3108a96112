"""Every method on the whole of SmolLM2-135M-Instruct: time, memory, size, quality and speed.

One model after the other, so that none waits for another's cores. Needs the cluster and all images;
names of methods as arguments run these alone.
"""

import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.setting import prepared
from e2e.kube import Object
from e2e.models import SMOLLM2, Models, from_hub

MIB = 2**20
SECONDS = 3600
"""One method on two cores; AutoAWQ takes longest."""
GROUPS = {"groupSize": 64}
"""SmolLM2 is 576 wide, which 128 does not divide."""
SAMPLES = 16
"""The fewest that are allowed: with the default of 128, AWQ would take hours on two cores."""
CALIBRATED = {"calibration": {"samples": SAMPLES, "maxSequenceLength": 256}}
MATRIX = {"type": "Q4_K_M", "importanceMatrix": True}
METHODS: dict[str, Object] = {
    "q8-0": {"method": "GGUF", "gguf": {"type": "Q8_0"}},
    "q4-k-m": {"method": "GGUF", "gguf": {"type": "Q4_K_M"}},
    "q4-k-m-matrix": {"method": "GGUF", "gguf": MATRIX},
    "awq": {"method": "AWQ", "awq": GROUPS, **CALIBRATED},
    "gptq": {"method": "GPTQ", "gptq": GROUPS, **CALIBRATED},
    "fp8": {"method": "FP8"},
    "int8": {"method": "INT8", **CALIBRATED},
    "nf4": {"method": "BitsAndBytes"},
    "fp4": {"method": "BitsAndBytes", "bitsAndBytes": {"type": "FP4"}},
    "bnb-int8": {"method": "BitsAndBytes", "bitsAndBytes": {"type": "INT8"}},
    "autoawq": {"method": "AWQ", "backend": "AutoAWQ", "awq": GROUPS, **CALIBRATED},
    "unquantized": {"method": "None"},
}
DIVERGENCES = Path("build/bench/divergences.json")
"""Mean KL divergence of each method that was made last, for `rounding` to hold its own against."""
WIDTH = 120
"""Columns of the terminal that the table needs; a narrower one would cut off figures."""
COLUMNS = (
    "method", "seconds", "peak MiB", "weights MB", "ratio", "KL", "agreement", "server MiB",
    "tokens/s",
)  # fmt: skip


def main() -> int:
    """Print one line a method; return 1 if one does not become ready."""
    console = Console(width=WIDTH)
    wanted = asked(list(METHODS))
    table = Table(title="SmolLM2-135M-Instruct by method", caption="two cores, no GPU")
    for title in COLUMNS:
        table.add_column(title, justify="right")
    with tempfile.TemporaryDirectory() as folder, prepared(Path(folder)) as (models, _):
        for name in wanted:
            try:
                status = _made(models, name)
            except AssertionError as error:
                console.print(f"{name}: {error}", markup=False)
                continue
            row = _row(name, status)
            _note(name, status)
            table.add_row(*row)
            console.print(f"done: {', '.join(row)}")
    console.print(table)
    return 0 if table.row_count == len(wanted) else 1


def asked(names: list[str]) -> list[str]:
    """Return the names of methods that the command line has, all if it has none."""
    wanted = sys.argv[1:] or names
    if unknown := set(wanted) - set(names):
        sys.exit(f"{', '.join(unknown)}: no such method; there are {', '.join(names)}")
    return wanted


def _made(models: Models, name: str) -> Object:
    """Return the status of a model of this method once it is ready; the model goes again."""
    spec = {
        "source": from_hub(SMOLLM2),
        "quantization": METHODS[name],
        "qualityGate": {"onFailure": "Warn"},
        "serving": {"contextLength": 1024},
        "accelerator": {"type": "CPU"},
    }
    models.apply(name, spec)
    try:
        return models.wait_ready(name, SECONDS)
    finally:
        models.delete(name)


def divergences() -> dict[str, float]:
    """Return the mean KL divergence, in nats, of each method that was made on this machine."""
    found: dict[str, float] = json.loads(DIVERGENCES.read_text()) if DIVERGENCES.exists() else {}
    return found


def _note(name: str, status: Object) -> None:
    """Keep a method's divergence; the unquantized model has none."""
    found = status.get("evaluation", {}).get("meanKLDivergence")
    if found is not None:
        noted = divergences() | {name: float(found)}
        DIVERGENCES.parent.mkdir(parents=True, exist_ok=True)
        DIVERGENCES.write_text(json.dumps(noted, indent=2) + "\n")


def _row(name: str, status: Object) -> list[str]:
    artifact, footprint = status["artifact"], status["footprint"]
    evaluation = status.get("evaluation", {})
    return [
        name,
        f"{artifact['seconds']:.0f}",
        f"{artifact['peakBytes'] / MIB:.0f}",
        f"{artifact['weightBytes'] / 1e6:.0f}",
        evaluation.get("perplexityRatio", "-"),
        evaluation.get("meanKLDivergence", "-"),
        evaluation.get("topTokenAgreement", "-"),
        f"{footprint['peakBytes'] / MIB:.0f}",
        f"{footprint['tokensPerSecond']:.0f}",
    ]
