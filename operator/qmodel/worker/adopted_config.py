"""What a source that is quantized already says of itself, where the engine looks for it.

AutoGPTQ and AutoAWQ wrote their settings to a file of their own; vLLM reads them from config.json
alone, and takes the model for an unquantized one without. ModelOpt's file it finds by itself.
"""

import json
from pathlib import Path
from typing import Any

from qmodel.worker.files import write_atomically
from qmodel.worker.inspect.document import parse_object
from qmodel.worker.inspect.quantized import AUTO_AWQ_CONFIG, AUTO_GPTQ_CONFIG
from qmodel.worker.inspect.select import CONFIG

_KEYS = ("quantization_config", "compression_config")
_AWQ_NAMES = {"w_bit": "bits", "q_group_size": "group_size"}
"""Keys of AutoAWQ's first files, and what they are called in config.json."""


def complete(folder: Path) -> None:
    """Write the settings of a file of their own into the folder's config.json.

    Parameters
    ----------
    folder
        Holds the model; config.json may be a link, and is replaced, not changed.

    Raises
    ------
    SourceInvalid
        If one of the files is not JSON.
    """
    path = folder / CONFIG
    if not path.exists():
        return
    config = parse_object(path.read_bytes(), CONFIG)
    settings = _settings(folder)
    if settings and not any(config.get(key) for key in _KEYS):
        content = json.dumps(config | {_KEYS[0]: settings}, indent=2) + "\n"
        write_atomically(path, content.encode())


def _settings(folder: Path) -> dict[str, Any]:
    """Return what stands in a file of its own, as config.json would have it."""
    gptq, awq = folder / AUTO_GPTQ_CONFIG, folder / AUTO_AWQ_CONFIG
    if gptq.exists():
        return {"quant_method": "gptq"} | parse_object(gptq.read_bytes(), AUTO_GPTQ_CONFIG)
    if not awq.exists():
        return {}
    found = parse_object(awq.read_bytes(), AUTO_AWQ_CONFIG)
    named = {_AWQ_NAMES.get(key, key): value for key, value in found.items()}
    return {"quant_method": "awq"} | named | {"version": str(named.get("version", "gemm")).lower()}
