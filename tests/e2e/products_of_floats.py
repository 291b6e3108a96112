"""Runs in vLLM's image: what takes the place of torch's FP8 product, beside double precision.

One JSON line a case, with the error relative to the exact product of the same rounded numbers.
"""

import json
from itertools import product
from types import SimpleNamespace

import torch

from qmodel.worker import vllm_unpacked

INPUTS, OUTPUTS, ROWS, PADDED = 576, 160, 7, 17
FP8 = torch.float8_e4m3fn


def scale(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float32) / 100


def error(*, by_row: bool, by_output: bool, has_bias: bool) -> float:
    """Return how far a product is from the exact one."""
    layer = torch.nn.Module()
    weights = torch.randn(OUTPUTS, INPUTS).to(FP8)
    layer.weight = torch.nn.Parameter(weights.t(), requires_grad=False)
    kernel = SimpleNamespace(layer_param_names=["weight"])
    vllm_unpacked._unpack_fp8(kernel, layer)
    rows = (40 * torch.randn(PADDED, INPUTS)).to(FP8)
    row_scales = scale((PADDED, 1) if by_row else (1,))
    scales = scale((OUTPUTS, 1) if by_output else (1,))
    bias = torch.randn(OUTPUTS) if has_bias else None
    found = vllm_unpacked._apply_fp8(
        kernel, A=rows, B=layer.weight, out_dtype=torch.float32, As=row_scales, Bs=scales,
        bias=bias, output_shape=[1, ROWS, OUTPUTS],
    )  # fmt: skip
    scaled = (rows.double() * row_scales)[:ROWS]
    exact = scaled @ (weights.double() * scales).T + (0 if bias is None else bias)
    return float((found[0] - exact).norm() / exact.norm())


torch.manual_seed(0)
torch.set_default_dtype(torch.bfloat16)
for by_row, by_output, has_bias in product((False, True), repeat=3):
    found = error(by_row=by_row, by_output=by_output, has_bias=has_bias)
    print(json.dumps({"case": [by_row, by_output, has_bias], "error": found}), flush=True)
