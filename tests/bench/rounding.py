"""4 bits by rounding to nearest, for what AWQ and GPTQ gain over it.

The same model, groups and text of evaluation as in `methods`, whose rows stand beside these.
"""

import json
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.script_pods import SCRIPTS, prepare, run
from bench.setting import namespace
from cluster import images
from e2e.kube import Object
from e2e.models import SMOLLM2
from qmodel.worker.task import ARTIFACTS

SOURCE = "sources/whole"
GRIDS = ("symmetric", "asymmetric")
"""GPTQ's default is the first, AWQ's the second."""
COLUMNS = {
    "ratio": "perplexityRatio",
    "KL": "meanKLDivergence",
    "agreement": "topTokenAgreement",
}


def main() -> int:
    """Print one line a grid."""
    table = Table(title="SmolLM2-135M-Instruct, 4 bits in groups of 64, rounded to nearest")
    table.add_column("grid")
    for title in COLUMNS:
        table.add_column(title, justify="right")
    references = images.ensure(["test-hub", "quantizer"])
    with tempfile.TemporaryDirectory() as folder, namespace(Path(folder)) as (models, _):
        prepare(models, references["test-hub"], {SOURCE: SMOLLM2})
        for grid in GRIDS:
            folders = [f"{ARTIFACTS}/{SOURCE}", f"{ARTIFACTS}/{grid}"]
            made = ["python", f"{SCRIPTS}/plain_llmcompressor.py", f"nearest-{grid}", *folders]
            run(models, f"round-{grid}", references["quantizer"], made)
            judged = ["python", f"{SCRIPTS}/judge.py", *folders]
            log = run(models, f"judge-{grid}", references["quantizer"], judged)
            table.add_row(grid, *_cells(json.loads(log.splitlines()[-1])))
    Console().print(table)
    return 0


def _cells(evaluation: Object) -> list[str]:
    """Return each figure with its uncertainty."""
    pairs = [(evaluation[key], evaluation[f"{key}Error"]) for key in COLUMNS.values()]
    return [f"{value:.4f} ± {error:.4f}" for value, error in pairs]
