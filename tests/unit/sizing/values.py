"""SmolLM2-135M-Instruct as the worker reports it, and variations of it."""

from typing import Any

from qmodel.worker.report import Footprint, Inspection
from qmodel.worker.task import KVLayout

MIB = 2**20

LAYOUT = KVLayout(full_layers=30, kv_heads=3, key_head_dim=64, value_head_dim=64)
_ALIKE = {"key_head_dim": 256, "value_head_dim": 256}
_WIDE = {"key_head_dim": 512, "value_head_dim": 512}
_NARROW = {"sliding_key_head_dim": 256, "sliding_value_head_dim": 256}
HYBRIDS = {
    "gemma 3 4b": KVLayout(full_layers=5, sliding_layers=29, window=1024, kv_heads=4, **_ALIKE),
    "gemma 4 e4b": KVLayout(
        full_layers=4, sliding_layers=20, window=512, kv_heads=2,
        **_WIDE, **_NARROW,
    ),
    "gemma 4 12b": KVLayout(
        full_layers=8, sliding_layers=40, window=1024, kv_heads=1, sliding_kv_heads=8,
        **_WIDE, **_NARROW,
    ),
}  # fmt: skip
"""Layers that cache; E4B has 18 more, which use the cache of others."""
INSPECTION = Inspection(
    source_revision="0" * 40,
    source_digest="0123456789abcdef",
    source_bytes=271_000_000,
    format="safetensors",
    architecture="LlamaForCausalLM",
    parameters=134_515_008,
    weight_bytes=269_030_016,
    hidden_size=576,
    layers=30,
    vocabulary_size=49_152,
    context_length=8192,
    kv=LAYOUT,
    chat_template=True,
)


def footprint(**changes: Any) -> Footprint:
    """Return a measurement of 4096 tokens and one sequence, with changes."""
    measured = Footprint(
        context_length=4096,
        concurrency=1,
        weights_bytes=140 * MIB,
        kv_bytes=90 * MIB,
        compute_bytes=40 * MIB,
        other_bytes=40 * MIB,
        peak_bytes=310 * MIB,
        kv_bytes_per_token=23_040,
        load_seconds=1,
        first_token_seconds=0.1,
        prompt_tokens_per_second=500,
        tokens_per_second=50,
        engine_version="b1",
        seconds=20,
    )
    return measured.model_copy(update=changes)
