"""Runs in vLLM's image for CPUs: the widths of attention heads that it has kernels for.

One JSON line: by type of the cache, the widths; of FP8 none where the processor cannot.
"""

import json

import torch
from vllm import _custom_ops
from vllm.v1.attention.backends.cpu_attn import _get_attn_isa

BLOCK_TOKENS = 128
"""Of the cache, as the server has them."""
WIDTHS = range(8, 1025, 8)
REFUSALS = ("Unsupported CPU attention configuration", "FP8 KV cache")
"""How messages begin where there is no kernel; any other error is one of this script."""


def is_computed(width: int, kind: str) -> bool:
    """Plan the attention of one sequence; what has no kernel is refused then."""
    tokens = torch.tensor([0, 8], dtype=torch.int32)
    try:
        _custom_ops.cpu_attn_get_scheduler_metadata(
            num_reqs=1,
            num_heads=4,
            num_kv_heads=2,
            head_dim=width,
            seq_lens=tokens[1:],
            dtype=torch.bfloat16,
            query_start_loc=tokens,
            causal=True,
            sliding_window_size=-1,
            isa=_get_attn_isa(torch.bfloat16, BLOCK_TOKENS, width, kind),
            enable_kv_split=True,
            kv_cache_dtype=kind,
        )
    except RuntimeError as error:
        if not str(error).startswith(REFUSALS):
            raise
        return False
    return True


print(json.dumps({kind: [w for w in WIDTHS if is_computed(w, kind)] for kind in ("auto", "fp8")}))
