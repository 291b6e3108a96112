"""Bounds of what config.json may say: nothing is allocated, or believed, beyond them."""

import math
from collections.abc import Mapping
from typing import Any

from qmodel.worker.errors import SourceInvalid
from qmodel.worker.inspect.document import bounded
from qmodel.worker.inspect.select import CONFIG

MAX_WIDTH = 1 << 20
MAX_LAYERS = 4096
MAX_VOCABULARY = 1 << 26
MAX_CONTEXT = 1 << 31
MAX_HEADS = 1 << 16

_WIDTHS = (
    "intermediate_size", "moe_intermediate_size", "shared_expert_intermediate_size", "ffn_dim",
    "ffn_hidden_size", "n_inner", "q_lora_rank", "qk_nope_head_dim", "v_head_dim", "state_size",
    "rotary_dim", "num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok",
    "n_shared_experts", "num_nextn_predict_layers", "type_vocab_size", "mamba_d_state",
)  # fmt: skip
_ROPE = ("rope_scaling", "rope_parameters")
_MAX_ROPE = 1e15
"""Of the base and the factors; the largest base in use is 1e11."""


def check_sizes(text: Mapping[str, Any]) -> None:
    """Check the sizes that engines allocate by, beside those that `config` reads.

    Raises
    ------
    SourceInvalid
        Naming the key and its value.
    """
    for key in _WIDTHS:
        value = text.get(key)
        for item in value if isinstance(value, list) else [value]:
            if item not in (None, 0) or isinstance(item, bool):
                bounded(item, MAX_WIDTH, f"{key} in {CONFIG}")
    _check_number("rope_theta", text.get("rope_theta"))
    for key in _ROPE:
        nested = text.get(key)
        for name, value in nested.items() if isinstance(nested, dict) else ():
            if name in ("factor", "rope_theta", "original_max_position_embeddings"):
                _check_number(f"{key}.{name}", value)


def _check_number(key: str, value: object) -> None:
    """Check that a number of the position encoding is one that can be computed with."""
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(float(str(value))) or not 0 < float(str(value)) < _MAX_ROPE:
        message = f"{key} in {CONFIG} is {str(value)[:40]!r}: a positive number is expected"
        raise SourceInvalid(message)
