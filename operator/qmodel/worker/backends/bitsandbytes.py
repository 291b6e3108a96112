"""bitsandbytes through transformers: NF4, FP4 and INT8, quantized weight by weight while loading.

NF4 and FP4 are those of QLoRA (arXiv:2305.14314), INT8 is LLM.int8() (arXiv:2208.07339). None of
them observes the model. One weight is in memory unquantized at a time.
"""

import ctypes
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

# First: the libraries below read what it sets when they are imported.
from qmodel.worker.backends.offline import LOCAL  # isort: skip

import torch
from pydantic import JsonValue
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from qmodel.api.methods import BitsAndBytesOptions, BitsAndBytesType
from qmodel.worker.backends import group_sizes
from qmodel.worker.backends.library_errors import library_errors
from qmodel.worker.errors import UnsupportedModel
from qmodel.worker.progress import Progress, ProgressPart
from qmodel.worker.task import Recipe

_M_MMAP_THRESHOLD = -3
"""glibc's name for the size from which a block is mapped by itself."""
_MAPPED_BYTES = 64 << 10


class BitsAndBytes:
    """Makes artifacts that transformers and vLLM load with bitsandbytes."""

    takes_samples = False
    makes_folder = True

    def quantize(
        self,
        recipe: Recipe,
        source: Path,
        out: Path,
        _samples: None,
        threads: int,
        progress: Progress | ProgressPart,
    ) -> None:
        """Write the quantized weights and their config.json into the folder `out`.

        Raises
        ------
        UnsupportedModel
            If no module of the model can be quantized.
        EngineFailed
            If the library fails.
        """
        torch.set_num_threads(threads)
        _give_back_what_is_freed()
        options = recipe.bits_and_bytes or BitsAndBytesOptions()
        progress.at(0.0, f"quantizing to {options.type}")
        with library_errors("bitsandbytes", out):
            model = _quantized(source, settings(options, _skipped(source, recipe)))
            progress.at(0.8, "saving")
            model.save_pretrained(out, max_shard_size=recipe.max_shard_bytes)
        _finish(source, out)
        progress.at(1.0, "saved")

    def versions(self) -> dict[str, JsonValue]:
        """Return what the manifest should tell about the libraries."""
        return {name: version(name) for name in ("bitsandbytes", "torch", "transformers")}


def _give_back_what_is_freed() -> None:
    """Have every weight that is dropped go back to the system at once.

    Left alone, glibc learns from the first large block that is freed to take such blocks from its
    heap. There the dropped weights stay between the quantized ones: up to 290 MiB of a model of
    257, more or less as the order of its modules, which is random, has it.
    """
    ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)


def settings(options: BitsAndBytesOptions, skipped: list[str]) -> BitsAndBytesConfig:
    """Return the library's settings for what was asked."""
    if options.type is BitsAndBytesType.INT8:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skipped)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=options.type.lower(),
        bnb_4bit_use_double_quant=options.double_quantization,
        bnb_4bit_compute_dtype=getattr(torch, options.compute_type),
        llm_int8_skip_modules=skipped,
    )


def _quantized(source: Path, quantization: BitsAndBytesConfig) -> PreTrainedModel:
    """Load a model, quantizing each weight as it is read."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        source,
        quantization_config=quantization,
        dtype="auto",
        device_map=_device(source),
        use_safetensors=True,
        **LOCAL,
    )
    if not any(_is_quantized(parameter) for parameter in model.parameters()):
        message = "the model has no linear module that bitsandbytes could quantize"
        raise UnsupportedModel(message)
    return model


def _is_quantized(parameter: torch.nn.Parameter) -> bool:
    return type(parameter).__name__ in ("Params4bit", "Int8Params")


def _device(source: Path) -> dict[str, Any]:
    """Return the accelerator where the whole model would fit, else the CPU: slower, the same."""
    needed = sum(path.stat().st_size for path in source.glob("*.safetensors"))
    if torch.cuda.is_available() and torch.cuda.mem_get_info(0)[0] > needed:
        return {"": 0}
    return {"": "cpu"}


def _skipped(source: Path, recipe: Recipe) -> list[str]:
    """Return the names of the linear modules that stay as they are.

    The library knows names, not the patterns that a recipe may hold, and adds nothing to a list:
    an output layer that shares its weight with the embedding has to be in it.
    """
    config = AutoConfig.from_pretrained(source, **LOCAL)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    linear = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    others = [
        name
        for name, module in model.named_modules()
        if name not in linear and any(True for _ in module.parameters(recurse=False))
    ]
    group_sizes.check(recipe, {name: module.in_features for name, module in linear.items()}, others)
    shared = model.get_output_embeddings() if config.get_text_config().tie_word_embeddings else None
    return [
        name
        for name, module in linear.items()
        if module is shared or group_sizes.is_ignored(name, recipe.ignore)
    ]


def _finish(source: Path, out: Path) -> None:
    """Keep the source's own config beside the quantization's.

    A config that transformers 5 wrote is misread by 4: it takes another base for the rotary
    embedding, without a word.
    """
    written = json.loads((out / "config.json").read_bytes())
    config = json.loads((source / "config.json").read_bytes())
    config["quantization_config"] = written["quantization_config"]
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
