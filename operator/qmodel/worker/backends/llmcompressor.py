"""llm-compressor: AWQ, GPTQ, FP8, INT8, NVFP4 and MXFP4 in the compressed-tensors format.

The model lies in memory; where there is an accelerator, the library brings one layer at a time to
it, so that a model larger than the accelerator can be quantized. Where there are several, each
takes a layer of its own copy and its part of the samples, in a process of its own; the processes
share the model in memory, sum what they observed, and quantize each its part of the layer.
"""

import gc
import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

# First: the libraries below read what it sets when they are imported.
from qmodel.worker.backends.offline import LOCAL  # isort: skip

os.environ.update({"LLM_COMPRESSOR_LOG_LEVEL": "CRITICAL", "TOKENIZERS_PARALLELISM": "false"})

import torch
from compressed_tensors.offload import load_offloaded_model
from compressed_tensors.utils import patch_attr
from llmcompressor import oneshot
from llmcompressor.core import LifecycleCallbacks
from llmcompressor.entrypoints import utils as entrypoint
from llmcompressor.modeling.moe.linearize import linearize_moe
from llmcompressor.pipelines.cache import IntermediatesCache
from loguru import logger
from pydantic import JsonValue
from torch import distributed
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel

from qmodel.worker.backends import CalibrationSet, group_sizes, language_part, ranks
from qmodel.worker.backends.library_errors import library_errors
from qmodel.worker.backends.llmcompressor_recipes import modifiers
from qmodel.worker.backends.ranks import Place
from qmodel.worker.backends.wide_products import WideProducts
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.task import Recipe

SEED = 0
"""What the library draws, it draws from torch's generator."""
LONGEST_WAIT = timedelta(days=7)
"""Of a rank for the others, such as while the first reads the model: the Job's own limit counts."""
Rows = list[list[int]]
"""Token ids of each sequence that the library is given."""
_log = logging.getLogger(__name__)


class LLMCompressor:
    """Writes checkpoints that vLLM and transformers load by their own config."""

    takes_samples = True
    makes_folder = True

    def quantize(
        self,
        recipe: Recipe,
        source: Path,
        out: Path,
        calibration: CalibrationSet | None,
        threads: int,
        progress: Progress | ProgressPart,
    ) -> None:
        """Write the quantized weights and their config.json into the folder `out`.

        Raises
        ------
        UnsupportedModel
            If the recipe does not fit the model.
        OutOfMemory
            If an accelerator has too little memory for one layer.
        EngineFailed
            If the library fails.
        """
        rows = _rows(calibration, recipe)
        count = _rank_count(rows)
        if count > 1:
            # What drew the samples is gone, but this process still holds its memory.
            gc.collect()
            torch.accelerator.empty_cache()
        ranks.run(partial(_make, recipe, source, out, rows, progress), count, threads)

    def versions(self) -> dict[str, JsonValue]:
        """Return what the manifest should tell about the libraries."""
        names = ("llmcompressor", "compressed-tensors", "transformers", "torch")
        return {name: version(name) for name in names}


def _rows(calibration: CalibrationSet | None, recipe: Recipe) -> Rows:
    """Return the samples, end to end, in rows of one length.

    Rows need no padding, whose activations would be observed too, and a few long rows take a
    fraction of the time of many short ones. AutoAWQ does the same.
    """
    if calibration is None or recipe.calibration is None:
        return []
    length = recipe.calibration.max_sequence_length
    tokens = [token for sample in calibration.sequences for token in sample]
    return [tokens[start : start + length] for start in range(0, len(tokens), length)]


def _rank_count(rows: Rows) -> int:
    """Return how many accelerators share the work: each needs something to observe."""
    devices: int = torch.accelerator.device_count()
    return max(1, min(devices, len(rows)))


def _make(
    recipe: Recipe,
    source: Path,
    out: Path,
    rows: Rows,
    progress: Progress | ProgressPart,
    place: Place,
) -> None:
    """Write the artifact, alone or together with the other ranks, of which the first tells."""
    torch.set_num_threads(place.threads)
    torch.manual_seed(SEED)
    told = progress if place.rank == 0 else Progress("quantize", io.StringIO())
    with library_errors("llm-compressor", out), _joined(place), WideProducts():
        model = _loaded(source, place)
        with _logged_once():
            linearize_moe(model)  # or experts would have no names yet
        decoder = _language_model(model)
        beside = _beside(model, decoder)
        _check(recipe, model, beside)
        told.at(0.05, "the model is loaded")
        _quantize(
            model,
            decoder,
            source,
            recipe.model_copy(update={"ignore": [*recipe.ignore, *beside]}),
            rows[place.rank :: place.count],
            told,
        )
        told.at(0.95, "writing")
        # The source's own is copied; some are refused when they are saved again.
        model.generation_config = GenerationConfig()
        model.save_pretrained(out, save_compressed=True, max_shard_size=recipe.max_shard_bytes)
        if decoder is not None and place.rank == 0:
            _tell_what_stays(out, language_part.patterns(beside, decoder))


@contextmanager
def _joined(place: Place) -> Iterator[None]:
    """Let the ranks compute together; one that fails takes no leave, as it is killed."""
    if place.count == 1:
        yield
        return
    # All are in one pod: nobody else is to reach them.
    os.environ.update({"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"})
    device = torch.accelerator.current_accelerator()
    if device is not None:
        torch.accelerator.set_device_index(place.rank)
        device = torch.device(device.type, place.rank)
    distributed.init_process_group(
        distributed.get_default_backend_for_device(device or "cpu"),
        init_method=place.meeting.as_uri(),
        rank=place.rank,
        world_size=place.count,
        timeout=LONGEST_WAIT,
        device_id=device,
    )
    yield
    distributed.destroy_process_group()


def _loaded(source: Path, place: Place) -> PreTrainedModel:
    """Return the model in memory; the first rank reads it, and the others share its memory."""
    options: dict[str, Any] = {"dtype": "auto", "use_safetensors": True, **LOCAL}
    if place.count == 1:
        return AutoModelForCausalLM.from_pretrained(source, **options)
    with load_offloaded_model():
        # Memory is what the Job was given: the library need not guess what to leave on the disk.
        return AutoModelForCausalLM.from_pretrained(
            source, device_map="cpu", max_memory={}, **options
        )


def _quantize(
    model: PreTrainedModel,
    decoder: str | None,
    source: Path,
    recipe: Recipe,
    rows: Rows,
    progress: Progress | ProgressPart,
) -> None:
    """Quantize a model in place."""
    data: dict[str, Any] = {}
    if rows:
        data["dataset"] = _loader(rows)
        data["tokenizer"] = AutoTokenizer.from_pretrained(source, **LOCAL)
    layers = model.config.get_text_config().num_hidden_layers
    with _logged_once(), _told_of_layers(layers, progress), _unpinned_memory():
        oneshot(model=model, recipe=modifiers(recipe, model, decoder), **data)


def _loader(rows: Rows) -> "DataLoader[dict[str, torch.Tensor]]":
    """Return rows as the library reads them, one at a time."""
    tensors = [torch.tensor([row]) for row in rows]
    batches = [{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in tensors]
    return DataLoader(batches, batch_size=None)


def _language_model(model: PreTrainedModel) -> str | None:
    """Return the name of the part that reads text; None where that is all of the model."""
    if model.config.get_text_config() is model.config:
        return None
    return _name(model, model.get_decoder()) or None


def _beside(model: PreTrainedModel, decoder: str | None) -> list[str]:
    """Return the linear layers that read no text."""
    if decoder is None:
        return []
    linear = [name for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
    return language_part.beside(linear, decoder, _name(model, model.get_output_embeddings()))


def _check(recipe: Recipe, model: PreTrainedModel, beside: list[str]) -> None:
    """Check that the recipe fits what is to be quantized."""
    modules = {name: m for name, m in model.named_modules() if _has_weights(m)}
    widths = {n: m.in_features for n, m in modules.items() if isinstance(m, torch.nn.Linear)}
    others = [name for name in modules if name in beside or name not in widths]
    group_sizes.check(recipe, {n: widths[n] for n in widths if n not in beside}, others)


def _tell_what_stays(out: Path, patterns: list[str]) -> None:
    """Add to the artifact's config what reads no text.

    The library lists it by the names of the checkpoint's tensors, by which transformers does not
    find the modules.
    """
    path = out / "config.json"
    config = json.loads(path.read_bytes())
    config["quantization_config"]["ignore"] += patterns
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _name(model: PreTrainedModel, module: torch.nn.Module | None) -> str | None:
    return next((name for name, found in model.named_modules() if found is module), None)


def _has_weights(module: torch.nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


@contextmanager
def _told_of_layers(layers: int, progress: Progress | ProgressPart) -> Iterator[None]:
    """Report each layer that the library is through with: it offers no callback of its own."""
    whole: Callable[..., Any] = LifecycleCallbacks.sequential_epoch_end
    done = 0

    def told(*arguments: Any, **keywords: Any) -> Any:
        nonlocal done
        result = whole(*arguments, **keywords)
        done = min(done + 1, layers)
        progress.at(0.05 + 0.9 * done / layers, f"layer {done} of {layers}")
        return result

    with patch_attr(LifecycleCallbacks, "sequential_epoch_end", told):
        yield


@contextmanager
def _logged_once() -> Iterator[None]:
    """Take the library's warnings into our log, each once: it repeats some for every layer."""
    told: set[str] = set()

    def tell(message: Any) -> None:
        text: str = message.record["message"]
        # Its figures of each layer have a level of their own, above that of warnings.
        if message.record["level"].name != "METRIC" and text not in told:
            told.add(text)
            _log.warning("%s", text)

    logger.remove()
    sink = logger.add(tell, level="WARNING")
    try:
        # Where there are several ranks, the library would set up its own log anew.
        with patch_attr(entrypoint, "configure_distributed_logger", lambda: None):
            yield
    finally:
        logger.remove(sink)


@contextmanager
def _unpinned_memory() -> Iterator[None]:
    """Let AWQ run without an accelerator.

    It pins what it caches for the sake of copies to one, whatever the machine (0.14.0), and torch
    refuses to pin memory where there is none.
    """
    if torch.accelerator.is_available():
        yield
        return
    with patch_attr(IntermediatesCache, "pin_memory", lambda *_, **__: None):
        yield
