"""Runs in AutoAWQ's image: the bounds that our search finds, beside those of the library's.

One JSON line a shape, with the share of groups that are clipped alike. Few tokens and rows: the
library multiplies element by element.
"""

import json

import torch
from awq.quantize.quantizer import AwqQuantizer

from qmodel.worker.backends.autoawq import _Quantizer

TOKENS = 512
SHAPES = ((64, 192), (128, 576), (64, 1536))


class Quantizer(_Quantizer):
    """The search alone: no model, no samples."""

    def __init__(self) -> None:
        self.group_size, self.w_bit, self.zero_point = 64, 4, True


torch.manual_seed(0)
for outputs, inputs in SHAPES:
    weight = torch.randn(outputs, inputs) / 20
    weight[torch.rand(outputs, inputs) < 0.001] *= 8  # what clipping is for
    rows = torch.randn(TOKENS, inputs) * torch.rand(inputs)
    expected = AwqQuantizer._compute_best_clip(Quantizer(), weight, rows)
    found = Quantizer()._compute_best_clip(weight, rows)
    largest = weight.unflatten(1, (-1, 64)).abs().amax(dim=-1, keepdim=True)
    clipped = float((expected < largest).float().mean())
    alike = float(torch.isclose(found, expected).float().mean())
    print(json.dumps({"shape": [outputs, inputs], "clipped": clipped, "alike": alike}), flush=True)
