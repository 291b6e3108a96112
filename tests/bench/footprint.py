"""Memory of a Llama-3-8B-shaped model: bf16, NF4 with double quantization, 4-bit GPTQ.

With a GPU (and torch and bitsandbytes, as the quantizer's image has them) the weights are random
and allocated, one matrix after the other as the libraries store them. Without one the same numbers
follow from the shapes alone, and the table says so.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

GIB = 2**30
HIDDEN, INTERMEDIATE, KEYS, LAYERS, VOCABULARY = 4096, 14_336, 1024, 32, 128_256
"""Of meta-llama/Meta-Llama-3-8B's config.json."""
NF4_GROUP, NF4_OUTER_GROUP = 64, 256
"""Weights of a scale, and scales of an outer scale (arXiv 2305.14314)."""
GPTQ_GROUP = 128
PUBLISHED_GIB = {"bf16": 15.02, "NF4, double quantization": 5.52, "GPTQ, 4 bits": 5.63}
"""Peak memory as published for the three with a context's small cache and the allocator's rest."""
MOST_DIFFERENCE = 0.08
"""Of the published numbers, which hold a cache and buffers too."""


@dataclass(frozen=True)
class Matrix:
    """The weight of a linear layer."""

    rows: int
    columns: int

    @property
    def elements(self) -> int:
        """Number of weights."""
        return self.rows * self.columns


def linears() -> Iterator[Matrix]:
    """Yield the weights that are quantized."""
    for _ in range(LAYERS):
        yield from (Matrix(HIDDEN, HIDDEN), Matrix(KEYS, HIDDEN), Matrix(KEYS, HIDDEN))
        yield from (Matrix(HIDDEN, HIDDEN), Matrix(HIDDEN, INTERMEDIATE))
        yield from (Matrix(INTERMEDIATE, HIDDEN), Matrix(INTERMEDIATE, HIDDEN))


def kept_bytes() -> int:
    """Return what stays in bf16: embedding, head and norms."""
    return 2 * (2 * VOCABULARY * HIDDEN + (2 * LAYERS + 1) * HIDDEN)


def bf16_bytes(matrix: Matrix) -> int:
    """Return the bytes of an unquantized weight."""
    return 2 * matrix.elements


def nf4_bytes(matrix: Matrix) -> int:
    """Return half a byte a weight, a byte a group, and four bytes a group of groups."""
    groups = -(-matrix.elements // NF4_GROUP)
    return matrix.elements // 2 + groups + 4 * -(-groups // NF4_OUTER_GROUP)


def gptq_bytes(matrix: Matrix) -> int:
    """Return nibbles, 16-bit scales, 4-bit zero points, and the group of each column."""
    groups = matrix.rows * matrix.columns // GPTQ_GROUP
    return matrix.elements // 2 + 2 * groups + groups // 2 + 4 * matrix.columns


FORMATS = dict(zip(PUBLISHED_GIB, (bf16_bytes, nf4_bytes, gptq_bytes), strict=True))


def main() -> int:
    """Print the table; return 1 where a number is far from what was published."""
    console = Console()
    measured = _measure() if _has_gpu() else {}
    if not measured:
        console.print("No GPU (or no torch) here: computed from the shapes alone, not measured.")
    found = {
        name: measured.get(name) or (kept_bytes() + sum(map(each, linears()))) / GIB
        for name, each in FORMATS.items()
    }
    console.print(_table(found, "measured" if measured else "computed"))
    differences = [abs(found[name] / PUBLISHED_GIB[name] - 1) for name in found]
    return 0 if max(differences) <= MOST_DIFFERENCE else 1


def _table(found: dict[str, float], how: str) -> Table:
    table = Table(title="Weights of a Llama-3-8B-shaped model, in GiB")
    for title in ("format", how, "published", "difference"):
        table.add_column(title, justify="right")
    for name, gibibytes in found.items():
        difference = gibibytes / PUBLISHED_GIB[name] - 1
        table.add_row(name, f"{gibibytes:.2f}", f"{PUBLISHED_GIB[name]:.2f}", f"{difference:+.1%}")
    return table


def _has_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch  # noqa: PLC0415  only in the quantizer's image

    return bool(torch.cuda.is_available())


def _measure() -> dict[str, float]:
    """Return what the GPU holds after each format was allocated, in GiB."""
    import torch  # noqa: PLC0415
    from bitsandbytes.nn import Params4bit  # noqa: PLC0415

    def bf16(matrix: Matrix) -> list[torch.Tensor]:
        return [torch.empty(matrix.rows, matrix.columns, dtype=torch.bfloat16, device="cuda")]

    def nf4(matrix: Matrix) -> list[torch.Tensor]:
        values = torch.randn(matrix.rows, matrix.columns, dtype=torch.bfloat16)
        return [Params4bit(values, quant_type="nf4", compress_statistics=True).cuda()]

    def gptq(matrix: Matrix) -> list[torch.Tensor]:
        groups = matrix.columns // GPTQ_GROUP
        return [
            torch.empty(matrix.columns // 8, matrix.rows, dtype=torch.int32, device="cuda"),
            torch.empty(groups, matrix.rows, dtype=torch.float16, device="cuda"),
            torch.empty(groups, matrix.rows // 8, dtype=torch.int32, device="cuda"),
            torch.empty(matrix.columns, dtype=torch.int32, device="cuda"),
        ]

    found = {}
    for name, allocate in zip(FORMATS, (bf16, nf4, gptq), strict=True):
        kept = torch.empty(kept_bytes(), dtype=torch.uint8, device="cuda")
        held = [kept, *(tensor for matrix in linears() for tensor in allocate(matrix))]
        found[name] = torch.cuda.memory_allocated() / GIB
        del held, kept
        torch.cuda.empty_cache()
    return found
