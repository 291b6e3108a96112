"""AutoGPTQ 0.7.1: weights in the format that most GPTQ checkpoints have. It needs CUDA.

The library is frozen. Its own functions for loading run a model's code even where they are told
not to, and for saving write one file whatever its size, so both are `legacy_model`'s.
"""

import logging
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from qmodel.api.methods import GPTQOptions
from qmodel.worker.backends import CalibrationSet, legacy_model, legacy_recipe
from qmodel.worker.errors import TaskInvalid, UnsupportedModel
from qmodel.worker.legacy_limits import ALTERNATIVE
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.task import Recipe

# legacy_model must come first: it keeps these libraries from drawing bars.
import torch  # isort: skip
from qmodel.worker.backends.library_errors import library_errors  # isort: skip
from auto_gptq import BaseQuantizeConfig  # isort: skip
from auto_gptq.modeling import _base as library  # isort: skip
from auto_gptq.modeling.auto import GPTQ_CAUSAL_LM_MODEL_MAP  # isort: skip

library.logger.handlers.clear()  # it prints beside the worker's own log, which is JSON

LOADED, QUANTIZED = 0.05, 0.95


class AutoGPTQ:
    """The backend of this name."""

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
        """Write `source` with packed weights into `out`; the GPU holds one layer at a time."""
        if recipe.calibration is None or calibration is None:
            message = "AutoGPTQ needs calibration samples"
            raise TaskInvalid(message)
        options = recipe.gptq or GPTQOptions()
        legacy_recipe.check(recipe)
        if not torch.cuda.is_available():
            message = f"AutoGPTQ needs a GPU with CUDA: {ALTERNATIVE}"
            raise UnsupportedModel(message)
        torch.set_num_threads(threads)
        progress.at(0.0, "loading the model")
        model = legacy_model.load(source, torch.float16, GPTQ_CAUSAL_LM_MODEL_MAP)
        progress.at(LOADED, f"calibrating on {len(calibration.sequences)} samples")
        with library_errors("AutoGPTQ", out):
            settings = _quantize(model, calibration, options, progress)
            progress.at(QUANTIZED, "saving")
            legacy_model.save(model, source, out, settings, recipe.max_shard_bytes)

    def versions(self) -> dict[str, JsonValue]:
        """Return the versions of the libraries."""
        return {name: version(name) for name in ("auto-gptq", "torch", "transformers")}


def _quantize(
    model: Any,
    calibration: CalibrationSet,
    options: GPTQOptions,
    progress: Progress | ProgressPart,
) -> dict[str, Any]:
    """Quantize in place; return what the config should say."""
    settings = BaseQuantizeConfig(
        bits=options.bits,
        group_size=options.group_size,
        desc_act=bool(options.desc_act_order),
        sym=options.symmetric,
    )
    whole = GPTQ_CAUSAL_LM_MODEL_MAP[model.config.model_type](model, False, settings)  # noqa: FBT003
    biased = {name for name, _ in model.named_parameters() if name.endswith(".bias")}
    examples = [_example(sequence) for sequence in calibration.sequences]
    with _LayersLogged(model.config.num_hidden_layers, progress):
        whole.quantize(examples, batch_size=1, cache_examples_on_gpu=False)
    _drop_biases(model, biased)
    # Paths of this machine, and no other reader's business.
    told = settings.to_dict()
    return {
        key: told[key] for key in told if key not in ("model_name_or_path", "model_file_base_name")
    }


def _drop_biases(model: torch.nn.Module, biased: Collection[str]) -> None:
    """Take out the zeros that the library adds as a bias to every layer that has none."""
    for name, layer in model.named_modules():
        if hasattr(layer, "qweight") and f"{name}.bias" not in biased:
            layer.bias = None


def _example(sequence: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Return one sample as the library takes it."""
    ids = torch.tensor([sequence])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


class _LayersLogged(logging.Handler):
    """Turns the library's log, its only sign of life, into progress."""

    START = "Start quantizing layer "

    def __init__(self, layers: int, progress: Progress | ProgressPart) -> None:
        super().__init__()
        self._layers, self._progress = layers, progress

    def __enter__(self) -> None:
        library.logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        library.logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Report the layer that a record announces."""
        text = record.getMessage()
        if text.startswith(self.START):
            layer = text.removeprefix(self.START)
            done = (int(layer.partition("/")[0]) - 1) / max(self._layers, 1)
            self._progress.at(LOADED + (QUANTIZED - LOADED) * done, f"layer {layer}")
