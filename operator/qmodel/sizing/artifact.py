"""Bytes of an artifact and of the volume that holds it, from headers: rather too many."""

from qmodel.api.methods import BitsAndBytesType, Method
from qmodel.sizing.bits_per_weight import weight_bits
from qmodel.worker.report import Inspection
from qmodel.worker.task import Recipe

MIB = 2**20

BASE_WEIGHT_BYTES = 2
"""One weight of the unquantized model."""
SMALL_TENSORS_SHARE = 1.005
"""Norms and biases stay in float32, and every tensor is aligned."""
VOCABULARY_FILE_BYTES = 64
"""Texts, scores and merges of one token in a GGUF file."""
SCALE_BITS = 32
"""A scale and a zero point of one group, at most."""
FILE_SYSTEM_SHARE_PERCENT = 10
"""What a file system keeps for itself."""
VOLUME_SPARE_BYTES = 256 * MIB
"""Manifests, importance matrices, calibration and evaluation samples, tokenizers."""
_EIGHT_BIT_SCALES = 1.02


def artifact_bytes(inspection: Inspection, recipe: Recipe) -> int:
    """Return the bytes of the artifact's weights."""
    if recipe.method is Method.NONE:
        return inspection.weight_bytes
    embedding = min(inspection.vocabulary_size * inspection.hidden_size, inspection.parameters)
    others = inspection.parameters - embedding
    if recipe.gguf is not None:
        bits = weight_bits(recipe.gguf.type, inspection.hidden_size)
        total = embedding * bits.output + others * bits.mix
        vocabulary = inspection.vocabulary_size * VOCABULARY_FILE_BYTES
        return round(total / 8 * SMALL_TENSORS_SHARE) + vocabulary
    # The embedding stays as it is, and so does a head that is not tied to it.
    kept = min(2 * embedding, inspection.parameters)
    bits_of_others = bits_per_weight(recipe, inspection.hidden_size)
    total = kept * 8 * BASE_WEIGHT_BYTES + (inspection.parameters - kept) * bits_of_others
    return round(total / 8 * SMALL_TENSORS_SHARE)


def bits_per_weight(recipe: Recipe, row: int) -> float:
    """Return the bits of one quantized weight, scales included; `row` is the width of a row."""
    if recipe.grid is not None:
        group = row if recipe.group_size == -1 else recipe.group_size
        return recipe.grid.bits + SCALE_BITS / group
    match recipe.method:
        case Method.NVFP4 | Method.MXFP4:
            return 4 + 8 / recipe.group_size
        case Method.BITS_AND_BYTES:
            chosen = recipe.bits_and_bytes
            eight = chosen is not None and chosen.type is BitsAndBytesType.INT8
            return 8 * _EIGHT_BIT_SCALES if eight else 4.5
        case _:
            return 8 * _EIGHT_BIT_SCALES


def volume_bytes(inspection: Inspection, recipe: Recipe, served_bytes: int = 0) -> int:
    """Return the size of the model's volume.

    It holds the source, the unquantized model as one GGUF while it is made and evaluated, and two
    artifacts: a new revision is built beside the one that serves, which has `served_bytes`, or is
    as large.
    """
    converted = recipe.gguf is not None and inspection.format != "gguf"
    base = inspection.parameters * BASE_WEIGHT_BYTES if converted else 0
    made = artifact_bytes(inspection, recipe)
    content = inspection.source_bytes + base + made + max(made, served_bytes)
    total = content + content * FILE_SYSTEM_SHARE_PERCENT // 100 + VOLUME_SPARE_BYTES
    return -(-total // MIB) * MIB
