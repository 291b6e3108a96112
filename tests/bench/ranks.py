"""Two ranks against one, with llm-compressor itself, on a machine that has no accelerator.

Run by an interpreter that has the libraries of images/quantizer; the argument is a checkpoint's
folder, and names of methods after it run these alone. The ranks talk over gloo. The library's code
for several ranks takes it that each computes on a device of its own: here that is the processor by
another name (`cpu:0` instead of `cpu`), to which weights are copied from the memory that ranks
share, as they would be to a GPU. What this cannot show is NCCL, and how much faster several GPUs
are.
"""

import io
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from llmcompressor.core import LifecycleCallbacks
from llmcompressor.modifiers.transform.awq import base as awq
from llmcompressor.pipelines.data_free import pipeline as data_free
from llmcompressor.pipelines.sequential import pipeline as sequential
from torch import distributed
from transformers import AutoTokenizer

from qmodel.worker import companions
from qmodel.worker.backends import CalibrationSet, ranks
from qmodel.worker.backends import llmcompressor as backend
from qmodel.worker.backends.ranks import Place, Work
from qmodel.worker.backends.torch_model import TorchModel
from qmodel.worker.errors import OutOfMemory
from qmodel.worker.logs import log_json_lines
from qmodel.worker.progress import Progress
from qmodel.worker.quality.comparison import compare
from qmodel.worker.quality.measures import Quality, summarize
from qmodel.worker.task import Recipe
from qmodel.worker.texts import passages

GROUPS = {"bits": 4, "groupSize": 64}
METHODS: dict[str, dict[str, Any]] = {"GPTQ": {"gptq": GROUPS}, "AWQ": {"awq": GROUPS}, "INT8": {}}
ROWS, ROW_TOKENS = 9, 64
"""An odd number: one rank has more to observe than the other."""
JUDGED_TOKENS = 256
RANKS = 2
LEAST_NOISE = 1e-3
"""Divergence that says nothing: bfloat16 rounds."""


def main() -> int:
    """Print what differs between the artifacts; return 1 if it is more than method and noise."""
    log_json_lines()
    source, *asked = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        good = [_compared(method, Path(source), Path(scratch)) for method in asked or METHODS]
        good.append(_ends_with_a_killed_rank(Path(source), Path(scratch)))
    return 0 if all(good) else 1


def pretended(work: Work, place: Place) -> None:
    """Do the work of a rank whose device is the processor by another name."""
    if place.count > 1:
        device = torch.device("cpu", 0)
        sequential.get_main_device = data_free.get_main_device = lambda: device
        awq._allreduce_data_sum = _summed
    work(place)


def killed(work: Work, place: Place) -> None:
    """Do the work until the first layer is observed, where the second rank is killed."""
    whole: Callable[..., Any] = LifecycleCallbacks.sequential_epoch_end

    def told(*arguments: Any) -> Any:
        if place.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments)

    LifecycleCallbacks.sequential_epoch_end = told
    pretended(work, place)


def _summed(values: list[torch.Tensor]) -> list[torch.Tensor]:
    """Sum over the ranks what AWQ would first bring to the accelerator."""
    copies = [value.clone() for value in values]
    for copy in copies:
        distributed.all_reduce(copy)
    return copies


def _work(method: str, source: Path, out: Path, *, turned: bool = False) -> Work:
    """Return what every rank does to make the artifact in `out`, of rows in order or turned."""
    out.mkdir()
    recipe = Recipe.model_validate(
        {
            "method": method,
            "backend": "LLMCompressor",
            "ignore": ["lm_head"],
            "maxShardBytes": 5_000_000_000,
            "calibration": {"samples": ROWS, "maxSequenceLength": ROW_TOKENS},
            **METHODS[method],
        }
    )
    tokens = _tokens(source, "\n\n".join(passages("calibration")))[: ROWS * ROW_TOKENS]
    rows = backend._rows(CalibrationSet("User", (tuple(tokens),), ""), recipe)
    ordered = rows[::-1] if turned else rows
    return partial(backend._make, recipe, source, out, ordered, Progress("quantize"))


def _tokens(source: Path, text: str) -> list[int]:
    found: list[int] = AutoTokenizer.from_pretrained(source)(text)["input_ids"]
    return found


def _compared(method: str, source: Path, scratch: Path) -> bool:
    """Tell whether two ranks are as near to one as one is to itself with its rows turned."""
    made = {"one rank": (1, False), "turned": (1, True), "two ranks": (RANKS, False)}
    folders = {name: scratch / f"{method} {name}" for name in made}
    for name, (count, turned) in made.items():
        work = _work(method, source, folders[name], turned=turned)
        ranks.run(partial(pretended, work), count, RANKS)
    contents = [_contents(folder) for folder in folders.values()]
    for folder in folders.values():
        companions.copy(source, folder)
    one, turned_one, two = folders.values()
    print(f"{method}: source and one rank: {_told(_quality(source, one))}")
    print(f"{method}: source and two ranks: {_told(_quality(source, two))}")
    by_order, by_ranks = _quality(one, turned_one), _quality(one, two)
    print(f"{method}: one rank, and its rows turned: {_told(by_order)}")
    print(f"{method}: one rank and two: {_told(by_ranks)}")
    noise = max(2 * by_order.mean_kl_divergence, LEAST_NOISE)
    return contents[0] == contents[2] and by_ranks.mean_kl_divergence < noise


def _contents(folder: Path) -> tuple[list[str], bytes]:
    """Return the names of an artifact's files, and its config."""
    return sorted(path.name for path in folder.iterdir()), (folder / "config.json").read_bytes()


def _quality(first: Path, second: Path) -> Quality:
    """Return how far the second model is from the first, on text that neither was shown."""
    tokens = _tokens(first, "\n\n".join(passages("evaluation")))[:JUDGED_TOKENS]
    halves = [tokens[: JUDGED_TOKENS // 2], tokens[JUDGED_TOKENS // 2 :]]
    silent = Progress("evaluate", io.StringIO()).part(0, 1)
    with TorchModel(first, RANKS) as base, TorchModel(second, RANKS) as quantized:
        return summarize(compare(base, quantized, halves, silent))


def _told(quality: Quality) -> str:
    return (
        f"mean divergence {quality.mean_kl_divergence:.5f}, "
        f"{quality.top_token_agreement:.1%} of top tokens agree"
    )


def _ends_with_a_killed_rank(source: Path, scratch: Path) -> bool:
    """Kill a rank while the other waits for what it observed; tell whether the step ended well."""
    started = time.monotonic()
    try:
        ranks.run(partial(killed, _work("GPTQ", source, scratch / "killed")), RANKS, RANKS)
    except OutOfMemory as error:
        print(f"a killed rank: {error}, after {time.monotonic() - started:.0f} s")
        return True
    return False
