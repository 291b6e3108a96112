"""Products of 16-bit matrices on processors that have no instruction for them.

Without AVX-512 torch multiplies bfloat16 and float16 by a plain loop. There the factors are
widened, a part at a time, which on two cores of an EPYC is 3 times faster for 512 rows and 5 times
for 2048. The result is what such an instruction gives: sums in float32, rounded once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

LEAST_ROWS = 16
"""Widening the weights costs more than it saves for fewer: tokens drawn for 8 sequences of SmolLM2
took 1.2 times as long, for 16 as long or less, for 32 less than half."""
PART_BYTES = 2**22
"""Of weights that are widened at once."""
_SIXTEEN_BITS = (torch.bfloat16, torch.float16)


class WideProducts(TorchFunctionMode):  # type: ignore[misc]  # its library is untyped here
    """While it is entered, linear layers on a CPU compute in float32 where 16 bits are slow."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Take the place of a call of torch."""
        if func is linear and _is_slow(*args[:2]):
            return _wide(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def product(
    rows: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Return rows (..., inputs) times a weight (outputs, inputs), plus a bias (outputs).

    Computed in float32, of which a part of the weight is widened at a time.
    """
    wide = rows.float()
    made = rows.new_empty(*rows.shape[:-1], len(weight), dtype=dtype)
    count = max(1, PART_BYTES // (4 * weight.shape[1]))
    for start in range(0, len(weight), count):
        part = weight[start : start + count].float()
        made[..., start : start + count] = wide @ part.T
    return made if bias is None else made + bias.to(dtype)


def _is_slow(rows: Any, weight: Any = None) -> bool:
    """Tell whether a product of these is better widened."""
    return (
        isinstance(rows, torch.Tensor)
        and isinstance(weight, torch.Tensor)
        and rows.device.type == "cpu" == weight.device.type
        and rows.dtype in _SIXTEEN_BITS
        and rows.dtype == weight.dtype
        and rows.numel() >= LEAST_ROWS * rows.shape[-1]
        and not _has_instruction(rows.dtype)
    )


def _has_instruction(dtype: torch.dtype) -> bool:
    """Tell whether torch's library for such products takes this type here."""
    if dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001  torch's own switch
    return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())  # noqa: SLF001  torch's own switch


def _wide(
    rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Take linear's arguments, and return what it would: the type of the rows."""
    return product(rows, weight, bias, rows.dtype)
