"""Writes packed.safetensors beside it: layers packed and unpacked by the libraries themselves.

Needs autoawq 0.2.9 and auto-gptq 0.7.1, as in the images of their backends:
`python tests/unit/worker/data/make_packed.py`.
"""

import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")

import torch  # noqa: E402 - the libraries warn of their own end when they are imported
from auto_gptq.nn_modules.qlinear import qlinear_cuda, qlinear_cuda_old  # noqa: E402
from auto_gptq.quantization import GPTQ  # noqa: E402
from awq.modules.linear import WQLinear_GEMM  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

INPUTS, OUTPUTS, GROUP = 64, 32, 32


def linear() -> torch.nn.Linear:
    layer = torch.nn.Linear(INPUTS, OUTPUTS, bias=False)
    layer.weight.data.normal_(0, 0.02)
    return layer


def awq() -> torch.nn.Module:
    layer = linear()
    weight = layer.weight.data.reshape(OUTPUTS, -1, GROUP)
    low, high = weight.amin(2), weight.amax(2)
    scales = (high - low) / 15
    zeros = (-torch.round(low / scales)).clamp(0, 15)
    return WQLinear_GEMM.from_linear(
        layer, 4, GROUP, scales=scales.T.contiguous(), zeros=zeros.T.contiguous()
    )


def gptq(bits: int, *, symmetric: bool, by_activation: bool) -> torch.nn.Module:
    layer = linear()
    solver = GPTQ(layer)
    solver.quantizer.configure(bits, perchannel=True, sym=symmetric)
    solver.add_batch(torch.randn(256, INPUTS) * torch.linspace(0.5, 2, INPUTS), None)
    scales, zeros, groups = solver.fasterquant(group_size=GROUP, actorder=by_activation)
    module = qlinear_cuda if by_activation else qlinear_cuda_old
    packed = module.QuantLinear(bits, GROUP, INPUTS, OUTPUTS, bias=False)
    layer.half()
    packed.pack(layer, scales, zeros, groups)
    return packed


def stored(name: str, layer: torch.nn.Module) -> dict[str, Any]:
    """Return the layer's tensors, and the weight that its own forward pass multiplies by."""
    tensors = {f"{name}.{key}": value.numpy() for key, value in layer.state_dict().items()}
    weight = layer(torch.eye(INPUTS, dtype=torch.float16)).T.contiguous()
    return {**tensors, f"{name}.expected": weight.numpy()}


def main() -> None:
    torch.manual_seed(0)
    torch.cuda.synchronize = lambda: None
    layers = {"awq": awq(), "gptq-4-asymmetric": gptq(4, symmetric=False, by_activation=False)}
    for bits in (2, 3, 4, 8):
        layers[f"gptq-{bits}"] = gptq(bits, symmetric=True, by_activation=False)
    for bits in (3, 4):
        layers[f"gptq-{bits}-ordered"] = gptq(bits, symmetric=True, by_activation=True)
    tensors: dict[str, Any] = {}
    for name, layer in layers.items():
        tensors |= stored(name, layer.eval())
    save_file(tensors, Path(__file__).with_name("packed.safetensors"))


main()
