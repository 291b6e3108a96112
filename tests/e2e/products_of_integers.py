"""Runs in vLLM's image: what takes the place of its INT8 product, beside double precision.

One JSON line a case, with the error relative to the exact product. In that one activations are
not rounded, so the error holds what 8 bits of them lose.
"""

import json
from dataclasses import dataclass
from itertools import product

import torch
from vllm.model_executor.kernels.linear.scaled_mm.cpu import CPUInt8ScaledMMLinearKernel
from vllm.model_executor.kernels.linear.scaled_mm.ScaledMMLinearKernel import (
    Int8ScaledMMLinearLayerConfig,
)

from qmodel.worker import vllm_unpacked

INPUTS, ROWS = 576, 7
NAMES = ("weight", "weight_scale", "input_scale", "input_zero_point", "azp_adj")
PREPARE = CPUInt8ScaledMMLinearKernel.process_weights_for_onednn


@dataclass(frozen=True)
class Case:
    """How a layer is quantized."""

    is_static: bool
    is_symmetric: bool
    is_channelwise: bool
    widths: tuple[int, ...]
    """Outputs of each of the weights that are fused in it."""
    has_bias: bool

    @property
    def outputs(self) -> int:
        return sum(self.widths)


def constant(values: torch.Tensor) -> torch.nn.Parameter:
    return torch.nn.Parameter(values, requires_grad=False)


def made(case: Case) -> tuple[torch.nn.Module, torch.Tensor]:
    """Return a layer as vLLM loads it, and the scale of each of its outputs."""
    weights = len(case.widths)
    layer = torch.nn.Module()
    layer.logical_widths = list(case.widths)
    layer.weight = constant(torch.randint(-127, 128, (case.outputs, INPUTS), dtype=torch.int8))
    scales = torch.rand((case.outputs, 1) if case.is_channelwise else (weights,)) / 100
    layer.weight_scale = constant(scales)
    layer.input_scale = layer.input_zero_point = layer.azp_adj = None
    if case.is_static:
        layer.input_scale = constant(torch.full((weights,), 0.08))
    if case.is_static and not case.is_symmetric:
        layer.input_zero_point = constant(torch.full((weights,), -37, dtype=torch.int8))
    each = scales.reshape(-1)
    return layer, each if case.is_channelwise else each.repeat_interleave(torch.tensor(case.widths))


def error(case: Case) -> float:
    """Return how far a product is from the exact one."""
    layer, scales = made(case)
    exact_weight = layer.weight.double() * scales.double().unsqueeze(1)
    rows = 2 * torch.randn(ROWS, INPUTS) + (0 if case.is_symmetric else 3)
    bias = torch.randn(case.outputs) if case.has_bias else None
    config = Int8ScaledMMLinearLayerConfig(
        is_static_input_scheme=case.is_static,
        is_channelwise=case.is_channelwise,
        input_symmetric=case.is_symmetric,
    )
    kernel = CPUInt8ScaledMMLinearKernel(config, NAMES)
    vllm_unpacked._unpack_8_bits(kernel, layer, PREPARE)
    found = vllm_unpacked._apply_8_bits(kernel, layer, rows, bias)
    exact = rows.double() @ exact_weight.T + (0 if bias is None else bias)
    return float((found - exact).norm() / exact.norm())


torch.manual_seed(0)
BOTH = (False, True)
for values in product(BOTH, BOTH, BOTH, ((160,), (96, 64)), BOTH):
    print(json.dumps({"case": values, "error": error(Case(*values))}), flush=True)
