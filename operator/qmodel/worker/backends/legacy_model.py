"""Models as AutoAWQ and AutoGPTQ know them: loaded by transformers 4.51, saved with care.

Both libraries load by functions of their own that run a model's code (AutoGPTQ even where it is
told not to) and let pass weights that fit nothing; both save a config that transformers has
rewritten, AutoGPTQ without shards. Only what lies between is theirs here.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

# First: the libraries below read what it sets when they are imported.
from qmodel.worker.backends.offline import LOCAL  # isort: skip

import torch
from huggingface_hub import save_torch_state_dict
from transformers import AutoModelForCausalLM, PreTrainedModel

from qmodel.worker.backends.readable_source import readable_source
from qmodel.worker.errors import EngineFailed, UnsupportedModel
from qmodel.worker.legacy_limits import ALTERNATIVE


def load(
    source: Path, dtype: torch.dtype | str, supported: Collection[str] = ()
) -> PreTrainedModel:
    """Return the unquantized model in `source` on the CPU.

    Parameters
    ----------
    source
        Holds config.json and *.safetensors, written by whatever version of transformers.
    dtype
        To compute in; "auto" for the type of the weights.
    supported
        Model types that the caller's library knows; none: any.

    Raises
    ------
    UnsupportedModel
        If the architecture is not known, or its weights are not those that the files hold.
    """
    with readable_source(source) as folder:
        model_type = json.loads((folder / "config.json").read_bytes())["model_type"]
        if supported and model_type not in supported:
            message = f"this library does not know models of type {model_type}: {ALTERNATIVE}"
            raise UnsupportedModel(message)
        try:
            model, found = AutoModelForCausalLM.from_pretrained(
                folder, torch_dtype=dtype, use_safetensors=True, output_loading_info=True, **LOCAL
            )
        except (OSError, RuntimeError, ValueError) as error:
            message = f"the model cannot be loaded: {error}"
            raise EngineFailed(message) from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found[kind]:
            message = (
                f"weights do not fit the model of transformers 4.51 ({kind}): {found[kind][:3]}"
            )
            raise UnsupportedModel(message)
    loaded: PreTrainedModel = model.eval()
    loaded.config.use_cache = False
    return loaded


def save(
    model: PreTrainedModel,
    source: Path,
    out: Path,
    quantization: Mapping[str, Any],
    max_shard_bytes: int,
) -> None:
    """Write the quantized weights in shards, and the source's own config with the quantization.

    Raises
    ------
    UnsupportedModel
        If a value became infinite or no number in float16.
    """
    weights = model.half().state_dict()
    for name, values in weights.items():
        if values.is_floating_point() and not values.isfinite().all():
            message = f"{name} does not fit into float16, which this format is stored in"
            raise UnsupportedModel(message)
    save_torch_state_dict(
        weights,
        out,
        max_shard_size=max_shard_bytes,
        force_contiguous=True,
        shared_tensors_to_discard=model._tied_weights_keys,  # noqa: SLF001  as the library saves
    )
    config = json.loads((source / "config.json").read_bytes())
    config["dtype" if "dtype" in config else "torch_dtype"] = "float16"
    config["quantization_config"] = dict(quantization)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
