"""vLLM's memory on a CPU: one setting measured, the others by arithmetic, beside their own peaks.

Each setting is measured by a Job of its own model, as the first would be; what the first predicts
of it is held against that.
"""

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.setting import prepared
from e2e.kube import Object
from e2e.models import SMOLLM2, Models, from_hub
from qmodel.api.serving import Engine
from qmodel.api.status import FootprintStatus, SourceStatus
from qmodel.sizing.load import Load
from qmodel.sizing.margin import memory_limit_bytes
from qmodel.sizing.memory import MEMORY
from qmodel.worker.report import Footprint

MIB = 2**20
SETTINGS = (Load(1024, 2), Load(4096, 1), Load(512, 8))
"""The first is carried to the others."""
SECONDS = 1200
COLUMNS = ("setting", "KV cache", "compute", "peak", "predicted", "error", "limit", "tokens/s")


def main() -> int:
    """Print one line a setting; return 1 if a limit is too low."""
    console = Console()
    table = Table(title="Memory of one vLLM of SmolLM2-135M in bf16, all sequences full, in MiB")
    for title in COLUMNS:
        table.add_column(title, justify="right")
    first: Footprint | None = None
    is_right = True
    with tempfile.TemporaryDirectory() as folder, prepared(Path(folder)) as (models, _):
        for load in SETTINGS:
            status = _measured(models, load)
            found = FootprintStatus.model_validate(status["footprint"])
            source = SourceStatus.model_validate(status["source"])
            first = first or found
            predicted = MEMORY[Engine.VLLM].predict_peak_bytes(first, source, load)
            limit = memory_limit_bytes(predicted)
            is_right = is_right and found.peak_bytes <= limit
            row = _row(load, found, predicted, limit)
            console.print(f"done: {', '.join(row)}")
            table.add_row(*row)
    console.print(table)
    return 0 if is_right else 1


def _measured(models: Models, load: Load) -> Object:
    """Return the status of a model that was measured with this load; the model goes again."""
    name = f"vllm-{load.concurrency}x{load.context_length}"
    serving = {
        "engine": Engine.VLLM,
        "contextLength": load.context_length,
        "concurrency": load.concurrency,
    }
    models.apply(
        name,
        {
            "source": from_hub(SMOLLM2),
            "quantization": {"method": "None"},
            "serving": serving,
            "accelerator": {"type": "CPU"},
        },
    )
    try:
        return models.wait_ready(name, SECONDS)
    finally:
        models.delete(name)


def _row(load: Load, found: Footprint, predicted: int, limit: int) -> list[str]:
    sizes = (found.kv_bytes, found.compute_bytes, found.peak_bytes, predicted)
    return [
        f"{load.concurrency} x {load.context_length}",
        *(f"{size / MIB:.0f}" for size in sizes),
        f"{(predicted - found.peak_bytes) / found.peak_bytes:+.1%}",
        f"{limit / MIB:.0f}",
        f"{found.tokens_per_second:.1f}",
    ]
