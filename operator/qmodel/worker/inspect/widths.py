"""Input widths of the layers' linear weights: what a group size must divide."""

import re
from collections.abc import Mapping

from qmodel.worker.inspect.config import Config
from qmodel.worker.inspect.document import bounded
from qmodel.worker.inspect.layers import SAFETENSORS_LAYER
from qmodel.worker.inspect.select import CONFIG
from qmodel.worker.inspect.tensors import Tensor

MAX_WIDTHS = 16
"""Distinct widths that a report holds; models have two to five."""
_MAX_EXPERTS = 1 << 16
_EXPERTS = (
    "num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "num_routed_experts",
)  # fmt: skip
_FUSED = re.compile(
    r"(?:.*\.)?experts\.(gate_up_proj|gate_proj|up_proj|down_proj|w[123])(?:\.weight)?"
)
"""All experts of a layer in one tensor."""
_READS_HIDDEN = ("gate_up_proj", "gate_proj", "up_proj", "w1", "w3")
_TRANSPOSED = "GPT2"
"""Its linear weights are stored with inputs first."""
_MATRIX, _STACK = 2, 3


def linear_widths(config: Config, tensors: Mapping[str, Tensor]) -> list[int]:
    """Return the distinct input widths, ascending; of many, those that divide least.

    Parameters
    ----------
    config
        The sizes of the model.
    tensors
        Its weights, unpacked, by name.
    """
    found = {_width(config, tensor) for tensor in tensors.values()} - {0}
    hardest = sorted(found, key=lambda width: (width & -width, width))[:MAX_WIDTHS]
    return sorted(hardest)


def experts(config: Config) -> int:
    """Return the experts of a layer; 0 where it has none."""
    value = next((config.text[key] for key in _EXPERTS if config.text.get(key)), 0)
    values = value if isinstance(value, list) else [value]
    return max((_count(item) for item in values), default=0)


def _count(value: object) -> int:
    return bounded(value, _MAX_EXPERTS, f"the number of experts in {CONFIG}") if value else 0


def _width(config: Config, tensor: Tensor) -> int:
    """Return the input width of one linear weight; 0 if it is none."""
    match = SAFETENSORS_LAYER.fullmatch(tensor.name)
    if match is None:
        return 0
    if len(tensor.shape) == _STACK and (fused := _FUSED.fullmatch(match[2])):
        if fused[1] in _READS_HIDDEN:
            return config.hidden_size
        rest = [extent for extent in tensor.shape[1:] if extent != config.hidden_size]
        return rest[0] if rest else config.hidden_size
    if len(tensor.shape) != _MATRIX or not match[2].endswith(".weight"):
        return 0
    return tensor.shape[0] if config.architecture.startswith(_TRANSPOSED) else tensor.shape[1]
