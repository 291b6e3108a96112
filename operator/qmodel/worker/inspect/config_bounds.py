"""Bounds of what config.json may say: nothing is allocated, or believed, beyond them."""

import math
import re
from collections.abc import Mapping
from typing import Any

from qmodel.worker.errors import SourceInvalid
from qmodel.worker.inspect.document import bounded
from qmodel.worker.inspect.select import CONFIG

MAX_WIDTH = 1 << 20
MAX_LAYERS = 4096
MAX_VOCABULARY = 1 << 26
MAX_CONTEXT = 1 << 25
"""Engines make a table of all positions; the longest context in use is 10 million tokens."""
MAX_HEADS = 1 << 16

_WIDTHS = (
    "intermediate_size", "moe_intermediate_size", "shared_expert_intermediate_size", "ffn_dim",
    "ffn_hidden_size", "n_inner", "q_lora_rank", "qk_nope_head_dim", "v_head_dim", "state_size",
    "rotary_dim", "num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok",
    "n_shared_experts", "num_nextn_predict_layers", "type_vocab_size", "mamba_d_state",
)  # fmt: skip
_NESTED = (
    (re.compile(r".*(?:layers|depth|depths|blocks)"), MAX_LAYERS),
    (re.compile(r".*heads"), MAX_HEADS),
    (re.compile(r".*(?:hidden|intermediate|embed|ffn|mlp)\w*(?:size|dim)"), MAX_WIDTH),
    (re.compile(r".*(?:size|dim|dims|width|channels)"), MAX_VOCABULARY),
)
"""Sizes by the ends of their keys, of the parts for images and sound too."""
_MAX_NUMBER = 1 << 50
"""Of any other whole number."""
_POSITIONS = "original_max_position_embeddings"
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
    base = text.get("rope_theta")
    for item in base if isinstance(base, list) else [base]:
        _check_number("rope_theta", item)
    for key in _ROPE:
        nested = text.get(key)
        if isinstance(nested, dict):
            kinds = {f"{key}.{name}": kind for name, kind in nested.items()}
            for where, part in {key: nested, **kinds}.items():
                if isinstance(part, dict):
                    _check_rope(where, part, text.get("max_position_embeddings"))


def check_nested(document: Mapping[str, Any]) -> None:
    """Check every whole number of a configuration, at any depth.

    Raises
    ------
    SourceInvalid
        Naming the key and its value.
    """
    waiting: list[tuple[str, object]] = [("", document)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.items())
        elif isinstance(value, list):
            waiting.extend((key, item) for item in value)
        elif isinstance(value, int) and abs(value) > (most := _most(key)):
            message = f"{key[:100]} in {CONFIG} is {str(value)[:40]}: at most {most} is accepted"
            raise SourceInvalid(message)


def _most(key: str) -> int:
    return next((most for pattern, most in _NESTED if pattern.fullmatch(key)), _MAX_NUMBER)


def _check_rope(where: str, part: Mapping[str, Any], positions: object) -> None:
    """Check one position encoding: engines make a table of as many positions as it stretches to."""
    for name in ("factor", "rope_theta", _POSITIONS):
        _check_number(f"{where}.{name}", part.get(name))
    factor, begin = part.get("factor"), part.get(_POSITIONS) or positions
    if not factor or not isinstance(begin, int | float) or begin > _MAX_ROPE:
        return
    if float(factor) * begin > MAX_CONTEXT:
        message = (
            f"{where}.factor in {CONFIG} is {str(factor)[:40]}, which makes more than {MAX_CONTEXT}"
            f" positions of {begin}"
        )
        raise SourceInvalid(message)


def _check_number(key: str, value: object) -> None:
    """Check that a number of the position encoding is one that can be computed with."""
    if value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(float(str(value))) or not 0 < float(str(value)) < _MAX_ROPE:
        message = f"{key} in {CONFIG} is {str(value)[:40]!r}: a positive number is expected"
        raise SourceInvalid(message)
