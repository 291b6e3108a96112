"""A recipe in words, for a person who reads a status, a report or a model card."""

from qmodel.api.methods import BitsAndBytesType, Method
from qmodel.worker.task import Recipe


def in_words(recipe: Recipe) -> str:
    """Return a recipe in a few words, such as `AWQ, 4 bits, groups of 64, asymmetric`."""
    grouped = recipe.grid
    if recipe.gguf is not None:
        matrix = ", with an importance matrix" if recipe.gguf.importance_matrix else ""
        return f"GGUF {recipe.gguf.type}{matrix}"
    if grouped is not None:
        size = recipe.group_size
        groups = f"groups of {size}" if size > 0 else "one group a row"
        symmetry = "symmetric" if grouped.symmetric else "asymmetric"
        order = ", by activation order" if recipe.gptq and recipe.gptq.desc_act_order else ""
        return f"{recipe.method}, {grouped.bits} bits, {groups}, {symmetry}{order}"
    if recipe.bits_and_bytes is not None:
        kind, doubled = recipe.bits_and_bytes.type, recipe.bits_and_bytes.double_quantization
        twice = doubled and kind is not BitsAndBytesType.INT8
        return f"bitsandbytes {kind}{', double quantization' if twice else ''}"
    return "as it is" if recipe.method is Method.NONE else str(recipe.method)
