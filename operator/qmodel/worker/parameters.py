"""`parameters.json`: what became of every parameter, read from the headers of the files alone.

A quantized weight is stored as several tensors, whose names each format chooses: they are put
together again under the name that the parameter has in the source.
"""

import re
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt

from qmodel.api.base import ApiModel
from qmodel.api.methods import BitsAndBytesType, Method
from qmodel.worker.inspect import gguf, safetensors
from qmodel.worker.inspect.tensors import Tensor
from qmodel.worker.sources.folder import Folder
from qmodel.worker.task import FolderSource, Recipe

PARAMETERS = "parameters.json"

_PART = re.compile(
    r"^(.+)\.(?:qweight|qzeros|scales|g_idx|SCB|weight_format|input_scale|input_global_scale"
    r"|input_zero_point|weight[._].+)$"
)
"""Names of the tensors that a quantized `weight` is stored as: compressed-tensors', bitsandbytes',
AutoAWQ's and GPTQ's."""
_FLOATS = ("F64", "F32", "F16", "BF16")
_EIGHT_BITS = ("I8", "F8_E4M3", "F8_E5M2")
_TYPE_BITS = re.compile(r"\d")


class Parameter(ApiModel):
    """One parameter of the model."""

    name: str
    """As in the source; of GGUF, which names its own way, as in the artifact."""
    dtype: str
    """Type that most of it is stored as."""
    shape: list[NonNegativeInt]
    """Of the unquantized parameter."""
    bytes: NonNegativeInt
    """In the artifact, scales and zero points included."""
    bits: PositiveInt | None = None
    """Bits of a quantized weight; absent: it stayed as it was."""


class Parameters(ApiModel):
    """Every parameter of an artifact."""

    parameters: list[Parameter]

    def count(self, *, quantized: bool) -> int:
        """Return the number of weights that were quantized, or that stayed."""
        chosen = (p for p in self.parameters if (p.bits is not None) is quantized)
        return sum(prod(parameter.shape) for parameter in chosen)


def of_folder(source: Path, folder: Path, recipe: Recipe) -> Parameters:
    """Return the parameters of an artifact in the Hugging Face layout.

    Parameters
    ----------
    source
        Folder of the unquantized model.
    folder
        Folder of the artifact.
    recipe
        What was asked: packed weights do not tell their bits.
    """
    shapes = {tensor.name: tensor.shape for tensor in _tensors(source)}
    stored: dict[str, list[Tensor]] = {}
    for tensor in _tensors(folder):
        part = _PART.match(tensor.name)
        stored.setdefault(f"{part[1]}.weight" if part else tensor.name, []).append(tensor)
    found = (_parameter(name, parts, shapes, recipe) for name, parts in sorted(stored.items()))
    return Parameters(parameters=list(found))


def of_gguf(model: Path) -> Parameters:
    """Return the parameters of a GGUF file."""
    source = Folder(FolderSource(path=str(model)))
    found = [
        Parameter(
            name=tensor.name,
            dtype=tensor.type,
            shape=list(tensor.shape),
            bytes=tensor.bytes,
            bits=None if tensor.type in _FLOATS else _bits_in_name(tensor.type),
        )
        for tensor in gguf.read_header(source, model.name).tensors
    ]
    return Parameters(parameters=found)


def _tensors(folder: Path) -> Iterable[Tensor]:
    """Return the tensors of all safetensors files of a folder."""
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    headers = safetensors.read_headers(Folder(FolderSource(path=str(folder))), names)
    return (tensor for tensors in headers.values() for tensor in tensors)


def _parameter(
    name: str, parts: list[Tensor], shapes: Mapping[str, tuple[int, ...]], recipe: Recipe
) -> Parameter:
    """Return one parameter from the tensors that it is stored as."""
    largest = max(parts, key=lambda tensor: tensor.bytes)
    return Parameter(
        name=name,
        dtype=largest.type,
        shape=list(shapes.get(name, largest.shape)),
        bytes=sum(tensor.bytes for tensor in parts),
        bits=_bits(largest, recipe),
    )


def _bits(tensor: Tensor, recipe: Recipe) -> int | None:
    """Return the bits of the weights that a tensor holds; None if they are not quantized."""
    if tensor.type in _FLOATS:
        return None
    return 8 if tensor.type in _EIGHT_BITS else packed_bits(recipe)


def packed_bits(recipe: Recipe) -> int:
    """Return the bits of a weight where several share a word."""
    if recipe.method is Method.GPTQ and recipe.gptq is not None:
        return recipe.gptq.bits
    options = recipe.bits_and_bytes
    return 8 if options is not None and options.type is BitsAndBytesType.INT8 else 4


def _bits_in_name(kind: str) -> int:
    """Return the bits that a GGUF type is named after."""
    digits = _TYPE_BITS.search(kind)
    return int(digits[0]) if digits else 8
