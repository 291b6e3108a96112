"""llm-compressor: AWQ, GPTQ, FP8, INT8, NVFP4 and MXFP4 in the compressed-tensors format.

The model lies in memory; where there is an accelerator, the library brings one layer at a time to
it, so that a model larger than the accelerator can be quantized.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Read when these libraries are imported: a step has no network, and its lines are not bars.
os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TQDM_DISABLE": "1"})
os.environ.update({"LLM_COMPRESSOR_LOG_LEVEL": "CRITICAL", "TOKENIZERS_PARALLELISM": "false"})

import torch
from compressed_tensors.utils import patch_attr
from llmcompressor import oneshot
from llmcompressor.core import LifecycleCallbacks
from llmcompressor.pipelines.cache import IntermediatesCache
from loguru import logger
from pydantic import JsonValue
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel

from qmodel.worker.backends import CalibrationSet, group_sizes
from qmodel.worker.backends.library_errors import library_errors
from qmodel.worker.backends.llmcompressor_recipes import modifiers
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.task import Recipe

SEED = 0
"""What the library draws, it draws from torch's generator."""
_log = logging.getLogger(__name__)
_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


class LLMCompressor:
    """Writes checkpoints that vLLM and transformers load by their own config."""

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
        torch.set_num_threads(threads)
        torch.manual_seed(SEED)
        with library_errors("llm-compressor", out):
            model = AutoModelForCausalLM.from_pretrained(
                source, dtype="auto", use_safetensors=True, **_LOCAL
            )
            group_sizes.check(recipe, _linear_widths(model))
            progress.at(0.05, "the model is loaded")
            _quantize(model, source, recipe, calibration, progress)
            progress.at(0.95, "writing")
            # The source's own is copied; some are refused when they are saved again.
            model.generation_config = GenerationConfig()
            model.save_pretrained(out, save_compressed=True, max_shard_size=recipe.max_shard_bytes)

    def versions(self) -> dict[str, JsonValue]:
        """Return what the manifest should tell about the libraries."""
        names = ("llmcompressor", "compressed-tensors", "transformers", "torch")
        return {name: version(name) for name in names}


def _quantize(
    model: PreTrainedModel,
    source: Path,
    recipe: Recipe,
    calibration: CalibrationSet | None,
    progress: Progress | ProgressPart,
) -> None:
    """Quantize a model in place."""
    data: dict[str, Any] = {}
    if calibration is not None and recipe.calibration is not None:
        data["dataset"] = _loader(calibration, recipe.calibration.max_sequence_length)
        data["tokenizer"] = AutoTokenizer.from_pretrained(source, **_LOCAL)
    layers = model.config.get_text_config().num_hidden_layers
    with _logged_once(), _told_of_layers(layers, progress), _unpinned_memory():
        oneshot(model=model, recipe=modifiers(recipe, type(model).__name__), **data)


def _loader(calibration: CalibrationSet, length: int) -> "DataLoader[dict[str, torch.Tensor]]":
    """Return the samples, end to end, in rows of one length.

    Rows need no padding, whose activations would be observed too, and a few long rows take a
    fraction of the time of many short ones. AutoAWQ does the same.
    """
    tokens = torch.tensor([token for sample in calibration.sequences for token in sample])
    rows = [row.unsqueeze(0) for row in tokens.split(length)]
    batches = [{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in rows]
    return DataLoader(batches, batch_size=None)


def _linear_widths(model: PreTrainedModel) -> dict[str, int]:
    """Return the input width of each linear layer, by its name."""
    modules = model.named_modules()
    return {name: m.in_features for name, m in modules if isinstance(m, torch.nn.Linear)}


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
