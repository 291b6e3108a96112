"""Loads a folder of the Hugging Face layout with transformers, whatever format its weights have.

Only safetensors are read, no code of the model's is run, nothing is looked up on a network. What
a format stores is unpacked once, so that every format computes with the same plain kernels:

- compressed-tensors: unpacked by its own library, which keeps rounding the activations where the
  recipe does (FP8, INT8, NVFP4, MXFP4);
- bitsandbytes: NF4 and FP4 are unpacked; INT8 stays, because its kernel rounds the activations;
- AutoAWQ and GPTQ: unpacked by `packed`; transformers would need libraries that are frozen.
"""

import json
from functools import partial
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any

# First: the libraries below read what it sets when they are imported.
from qmodel.worker.backends.offline import LOCAL  # isort: skip

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    CompressedTensorsConfig,
    PreTrainedModel,
)
from transformers.utils import logging

from qmodel.worker.backends import loading_report, packed, wide_products
from qmodel.worker.errors import EngineFailed, OutOfMemory, StepError, UnsupportedModel

logging.disable_progress_bar()
# It warns at every product that it rounds what it is made to round.
getLogger("bitsandbytes").setLevel(ERROR)


def load(folder: Path) -> PreTrainedModel:
    """Return the model in `folder`, ready to compute, in the type that its config names.

    On a machine with accelerators it is spread over them, and what does not fit stays in memory;
    elsewhere 16-bit weights stay mapped from their files until they are unpacked.

    Raises
    ------
    UnsupportedModel
        If transformers does not know the architecture or the format, or finds other weights in
        the files than the model has.
    OutOfMemory
        If the accelerators have too little memory for it.
    EngineFailed
        If the weights cannot be loaded.
    """
    try:
        model = _loaded(folder)
    except StepError:
        raise
    except torch.OutOfMemoryError as error:  # a RuntimeError, but one that more memory mends
        message = f"the model does not fit into the accelerators' memory: {error}"
        raise OutOfMemory(message) from error
    except (KeyError, ImportError, NotImplementedError) as error:
        message = f"transformers cannot load this model: {error}"
        raise UnsupportedModel(message) from error
    except (OSError, RuntimeError, ValueError) as error:
        message = f"the model cannot be loaded: {error}"
        raise EngineFailed(message) from error
    _compute_logits_in_single_precision(model)
    return model.eval()


def quantization_config(folder: Path) -> dict[str, Any]:
    """Return the quantization settings of config.json, empty where there are none."""
    config = json.loads((folder / "config.json").read_bytes())
    return dict(config.get("quantization_config") or {})


def dispatch() -> dict[str, Any]:
    """Return how weights are placed on this machine."""
    return {"device_map": "auto"} if torch.cuda.is_available() else {"device_map": "cpu"}


def _loaded(folder: Path) -> PreTrainedModel:
    arguments = LOCAL | dispatch() | {"dtype": "auto", "use_safetensors": True}
    if packed.packing(folder) is not None:
        return _unpacked(folder)
    settings = quantization_config(folder)
    method = settings.get("quant_method")
    if method == "compressed-tensors":
        arguments["quantization_config"] = CompressedTensorsConfig(dequantize=True)
    model = _complete(
        AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **arguments)
    )
    if method == "bitsandbytes" and settings.get("load_in_4bit"):
        model = model.dequantize()
    return model


def _unpacked(folder: Path) -> PreTrainedModel:
    """Return a model of the AutoAWQ or GPTQ format with plain weights."""
    config = AutoConfig.from_pretrained(folder, **LOCAL)
    del config.quantization_config
    dtype = config.dtype or torch.float16
    weights = {
        name: torch.from_numpy(values).to(dtype) for name, values in packed.dequantized(folder)
    }
    with torch.device("meta"):
        kind = type(AutoModelForCausalLM.from_config(config, trust_remote_code=False))
    return _complete(
        kind.from_pretrained(
            None,
            config=config,
            state_dict=weights,
            dtype=dtype,
            output_loading_info=True,
            **dispatch(),
        )
    )


def _complete(loaded: tuple[PreTrainedModel, dict[str, Any]]) -> PreTrainedModel:
    """Return a model whose weights are all those of its files."""
    model, found = loaded
    modules = {name for name, _ in model.named_modules()}
    loading_report.check(found["missing_keys"], found["unexpected_keys"], modules)
    return model


def _compute_logits_in_single_precision(model: PreTrainedModel) -> None:
    """Let the output layer compute in float32: bfloat16 logits have steps of an eighth.

    Beside a comparison of distributions such steps are noise, and ties where two tokens rank
    first.
    """
    head = model.get_output_embeddings()
    if isinstance(head, torch.nn.Linear) and head.weight.dtype in (torch.bfloat16, torch.float16):
        # accelerate, which brings weights to a device as they are needed, wraps the original.
        original = "_old_forward" if hasattr(head, "_old_forward") else "forward"
        setattr(head, original, partial(_single_precision, head))


def _single_precision(head: torch.nn.Linear, hidden: torch.Tensor) -> torch.Tensor:
    """Return float32 logits (..., vocabulary) of hidden states (..., hidden size)."""
    return wide_products.product(hidden, head.weight, head.bias, torch.float32)
