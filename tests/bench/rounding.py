"""4 bits by rounding to nearest, for what AWQ and GPTQ gain over it.

The same model, groups and text of evaluation as in `methods`, which must have made these before.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.methods import divergences
from bench.script_pods import SCRIPTS, prepare, run
from bench.setting import namespace
from cluster import images
from e2e.kube import Object
from e2e.models import SMOLLM2
from qmodel.worker.task import ARTIFACTS

SOURCE = "sources/whole"
GRIDS = {"symmetric": ("gptq",), "asymmetric": ("awq", "autoawq")}
"""Which methods store weights on each grid."""
MOST_OF_ROUNDING = 0.9
"""A method is better if its divergence is at most so much of rounding's."""
COLUMNS = {
    "ratio": "perplexityRatio",
    "KL": "meanKLDivergence",
    "agreement": "topTokenAgreement",
}


def main() -> int:
    """Print one line a grid; return 1 if a method is not clearly better."""
    table = Table(title="SmolLM2-135M-Instruct, 4 bits in groups of 64, rounded to nearest")
    table.add_column("grid")
    for title in COLUMNS:
        table.add_column(title, justify="right")
    rounded: dict[str, float] = {}
    references = images.ensure(["test-hub", "quantizer"])
    with tempfile.TemporaryDirectory() as folder, namespace(Path(folder)) as (models, _):
        prepare(models, references["test-hub"], {SOURCE: SMOLLM2})
        for grid in GRIDS:
            folders = [f"{ARTIFACTS}/{SOURCE}", f"{ARTIFACTS}/{grid}"]
            made = ["python", f"{SCRIPTS}/plain_llmcompressor.py", f"nearest-{grid}", *folders]
            run(models, f"round-{grid}", references["quantizer"], made)
            judged = ["python", f"{SCRIPTS}/judge.py", *folders]
            log = run(models, f"judge-{grid}", references["quantizer"], judged)
            evaluation = json.loads(log.splitlines()[-1])
            rounded[grid] = evaluation["meanKLDivergence"]
            table.add_row(grid, *_cells(evaluation))
    Console().print(table)
    verdicts = [_is_better(*pair, rounded) for pair in _pairs()]
    return 0 if all(verdicts) else 1


def _pairs() -> Iterator[tuple[str, str]]:
    """Yield each method after its grid."""
    return ((grid, method) for grid, methods in GRIDS.items() for method in methods)


def _is_better(grid: str, method: str, rounded: dict[str, float]) -> bool:
    """Tell whether a method is clearly better than rounding, and say so."""
    found = divergences().get(method)
    if found is None:
        print(f"{method}: not made yet: python tests/bench methods {method}")
        return False
    share = found / rounded[grid]
    verdict = "ok" if share <= MOST_OF_ROUNDING else "MISSED"
    print(
        f"{method}: mean KL divergence {found:.3f}, {share:.2f} of rounding to nearest, {grid};"
        f" at most {MOST_OF_ROUNDING}: {verdict}"
    )
    return share <= MOST_OF_ROUNDING


def _cells(evaluation: Object) -> list[str]:
    """Return each figure with its uncertainty."""
    pairs = [(evaluation[key], evaluation[f"{key}Error"]) for key in COLUMNS.values()]
    return [f"{value:.4f} ± {error:.4f}" for value, error in pairs]
