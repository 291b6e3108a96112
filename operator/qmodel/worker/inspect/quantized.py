"""Models that somebody quantized already: recognised by what their own configuration says.

Served as they are (method None). How each format packs its weights is `packing`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from qmodel.api.methods import BLOCK_WEIGHTS, Method
from qmodel.worker.errors import SourceInvalid, UnsupportedModel
from qmodel.worker.inspect import mixtures
from qmodel.worker.inspect.document import bounded
from qmodel.worker.inspect.mixtures import Grid
from qmodel.worker.inspect.patterns import MAX_REPEATS, ends, is_marked
from qmodel.worker.inspect.select import CONFIG
from qmodel.worker.report import SourceQuantization

AUTO_GPTQ_CONFIG = "quantize_config.json"
AUTO_AWQ_CONFIG = "quant_config.json"
MODELOPT_CONFIG = "hf_quant_config.json"

Recipe = Mapping[str, Any]
Documents = Mapping[str, dict[str, Any]]

_MAX_BITS = 16
_MAX_GROUP = 1 << 16
_MAX_PATTERNS = 50_000
_MAX_MARKED_PATTERNS = 1024
"""Of those that say that they are patterns; every one is tried on every module."""
_PATTERN_KEYS = (
    "ignore", "targets", "modules_to_not_convert", "exclude", "exclude_modules", "layers",
    "ignored_layers", "llm_int8_skip_modules",
)  # fmt: skip
"""Of lists whose texts are patterns, marked or not."""
_PATTERNS_AS_KEYS = ("dynamic", "extra_config", "layer_quant_config")
"""Of objects whose keys are."""
_COMPRESSED = "compressed-tensors"
_MODELOPT_BITS = {
    "FP8": 8, "NVFP4": 4, "W4A16_NVFP4": 4, "W4A16_AWQ": 4, "W4A8_AWQ": 4, "INT8_SQ": 8, "MXFP8": 8,
}  # fmt: skip


def recognise(documents: Documents, text: Mapping[str, Any]) -> SourceQuantization | None:
    """Return how the source is quantized, if it is.

    Parameters
    ----------
    documents
        The configuration files, by name.
    text
        config.json with the language model's own part laid over it.

    Raises
    ------
    SourceInvalid
        If what the configuration says of it is absurd.
    """
    where, recipe = _recipe(documents, text)
    if recipe is None:
        return None
    _check_patterns(recipe, where)
    name = recipe.get("quant_method") or ("gptq" if where == AUTO_GPTQ_CONFIG else "")
    method = str(name).lower().replace("_", "-") if name != "fbgemm_fp8" else "fbgemm_fp8"
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", method):
        message = f"{where} says quantized, but its quant_method is {str(name)[:100]!r}"
        raise SourceInvalid(message)
    describe = _FORMATS.get(method, _other)
    return describe({**recipe, "quant_method": method}, where)


def grids(
    found: SourceQuantization | None, documents: Documents, text: Mapping[str, Any]
) -> list[Grid]:
    """Return the bits and groups among which packed weights differ; none where they do not.

    Raises
    ------
    SourceInvalid
        If there are absurdly many.
    """
    if found is None or found.format != _COMPRESSED or found.bits is not None:
        return []
    where, recipe = _recipe(documents, text)
    return mixtures.grids(recipe or {}, where)


def check_method(found: SourceQuantization | None, method: Method, name: str) -> None:
    """Check that a source that is quantized already is only served as it is.

    Raises
    ------
    UnsupportedModel
        Saying what it is, and what to ask for instead.
    """
    if found is not None and method is not Method.NONE:
        message = (
            f"{name} is quantized already: {found.description}; method {method.value} needs"
            " unquantized weights: use quantization.method None to serve it as it is, or the"
            " repository that it was made from"
        )
        raise UnsupportedModel(message)


def _recipe(documents: Documents, text: Mapping[str, Any]) -> tuple[str, Recipe | None]:
    """Return the file that tells of a quantization, and what it says."""
    for key in ("quantization_config", "compression_config"):
        if text.get(key):
            return CONFIG, _object(text[key], f"{key} in {CONFIG}")
    if AUTO_GPTQ_CONFIG in documents:
        return AUTO_GPTQ_CONFIG, documents[AUTO_GPTQ_CONFIG]
    if AUTO_AWQ_CONFIG in documents:
        return AUTO_AWQ_CONFIG, {"quant_method": "awq", **documents[AUTO_AWQ_CONFIG]}
    if MODELOPT_CONFIG in documents:
        inner = documents[MODELOPT_CONFIG].get("quantization")
        found = _object(inner, f"quantization in {MODELOPT_CONFIG}")
        return MODELOPT_CONFIG, {"quant_method": "modelopt", **found}
    return CONFIG, None


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = f"{where} is {str(value)[:100]!r} where an object is expected"
        raise SourceInvalid(message)
    return value


def _check_patterns(recipe: Recipe, where: str) -> None:
    """Refuse patterns that match without end: the engine tries them on every module's name."""
    marked = 0
    for count, pattern in enumerate(_patterns(recipe), 1):
        marked += _is_marked_text(pattern)
        if count > _MAX_PATTERNS or marked > _MAX_MARKED_PATTERNS or not ends(pattern):
            message = (
                f"{where} names modules by {str(pattern)[:100]!r}, which is no name and no"
                f" pattern that ends: at most {MAX_REPEATS} repeats, none of them of a group, are"
                f" accepted, and {_MAX_MARKED_PATTERNS} patterns"
            )
            raise SourceInvalid(message)


def _patterns(recipe: Recipe) -> Iterator[object]:
    """Yield what engines take for patterns, at any depth."""
    waiting: list[tuple[str, object]] = [("", recipe)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            yield from (k for k in value if key in _PATTERNS_AS_KEYS or is_marked(k))
            waiting.extend(value.items())
        elif isinstance(value, list):
            yield from (value if key in _PATTERN_KEYS else filter(_is_marked_text, value))
            waiting.extend((key, inner) for inner in value if isinstance(inner, dict | list))
        elif isinstance(value, str) and (key in _PATTERN_KEYS or is_marked(value)):
            yield value


def _is_marked_text(value: object) -> bool:
    return isinstance(value, str) and is_marked(value)


def _bits(recipe: Recipe, where: str, *keys: str) -> int:
    key = next((key for key in keys if key in recipe), keys[0])
    return bounded(recipe.get(key), _MAX_BITS, f"{key} in {where}")


def _group(recipe: Recipe, where: str, *keys: str) -> int | None:
    """Return weights of a row that share a scale; None: one scale a row or tensor."""
    value = next((recipe[key] for key in keys if recipe.get(key) is not None), None)
    if value in (None, -1):
        return None
    return bounded(value, _MAX_GROUP, f"{keys[0]} in {where}")


def _described(
    format_name: str,
    title: str,
    bits: int | None,
    group: int | None,
    *more: str,
    packing: str | None = None,
) -> SourceQuantization:
    parts = [title]
    parts += [f"{bits} bits"] if bits else []
    parts += [f"groups of {group}"] if group else []
    return SourceQuantization(
        format=format_name,
        bits=bits,
        group_size=group,
        packing=packing,
        description=", ".join([*parts, *(part for part in more if part)])[:200],
    )


def _awq(recipe: Recipe, where: str) -> SourceQuantization:
    bits = _bits(recipe, where, "bits", "w_bit")
    group = _group(recipe, where, "group_size", "q_group_size")
    version = str(recipe.get("version", "gemm")).lower()[:20]
    shown = "" if version == "gemm" else version
    return _described("awq", "AWQ", bits, group, shown, packing=version)


def _gptq(recipe: Recipe, where: str) -> SourceQuantization:
    told = {"act_order": recipe.get("desc_act") is True, "symmetric": bool(recipe.get("sym", True))}
    order = "act order" if told["act_order"] else ""
    symmetry = "" if told["symmetric"] else "asymmetric"
    bits, group = _bits(recipe, where, "bits"), _group(recipe, where, "group_size")
    found = _described("gptq", "GPTQ", *_common(recipe, bits, group), symmetry, order)
    return found.model_copy(update=told)


def _common(recipe: Recipe, bits: int, group: int | None) -> tuple[int | None, int | None]:
    """Return bits and group size, each None where some modules have another."""
    tables = [table for key in _PATTERNS_AS_KEYS if isinstance(table := recipe.get(key), dict)]
    told = [part for table in tables for part in table.values() if isinstance(part, dict)]
    others = [part for part in told if part.get("bits") != _MAX_BITS]
    stated = group or -1
    return (
        bits if all(part.get("bits", bits) == bits for part in others) else None,
        group if all(part.get("group_size", stated) == stated for part in others) else None,
    )


def _compressed(recipe: Recipe, where: str) -> SourceQuantization:
    groups = _object(recipe.get("config_groups") or {}, f"config_groups in {where}")
    weights = [_object(_object(g, where).get("weights") or {}, where) for g in groups.values()]
    bits = {_bits(weight, where, "num_bits") for weight in weights if weight}
    sizes = {_group(weight, where, "group_size") for weight in weights if weight}
    packing = str(recipe["format"])[:60] if "format" in recipe else None
    shown = packing or "of an unknown format"
    one_bits = bits.pop() if len(bits) == 1 else None
    one_size = sizes.pop() if len(sizes) == 1 else None
    return _described(_COMPRESSED, _COMPRESSED, one_bits, one_size, shown, packing=packing)


def _bitsandbytes(recipe: Recipe, where: str) -> SourceQuantization:
    four = recipe.get("load_in_4bit") or recipe.get("_load_in_4bit")
    eight = recipe.get("load_in_8bit") or recipe.get("_load_in_8bit")
    if bool(four) == bool(eight):
        message = f"{where} says bitsandbytes, but neither or both of load_in_4bit, load_in_8bit"
        raise SourceInvalid(message)
    kind = str(recipe.get("bnb_4bit_quant_type", "fp4")).upper()[:8] if four else "INT8"
    double = "double quantization" if four and recipe.get("bnb_4bit_use_double_quant") else ""
    return _described("bitsandbytes", f"bitsandbytes {kind}", 4 if four else 8, None, double)


def _modelopt(recipe: Recipe, where: str) -> SourceQuantization:
    algorithm = str(recipe.get("quant_algo", "an unknown algorithm"))[:40]
    group = _group(recipe, where, "group_size")
    bits = _MODELOPT_BITS.get(algorithm)
    return _described("modelopt", f"ModelOpt {algorithm}", bits, group, packing=algorithm)


def _fp8(recipe: Recipe, where: str) -> SourceQuantization:
    blocks = recipe.get("weight_block_size")
    sizes = blocks if isinstance(blocks, list) else []
    sides = [bounded(size, _MAX_GROUP, f"weight_block_size in {where}") for size in sizes]
    shape = f"blocks of {' x '.join(map(str, sides))}" if sides else ""
    return _described(str(recipe["quant_method"]), "FP8", 8, None, shape)


def _mxfp4(_recipe: Recipe, _where: str) -> SourceQuantization:
    return _described("mxfp4", "MXFP4", 4, BLOCK_WEIGHTS[Method.MXFP4])


def _other(recipe: Recipe, where: str) -> SourceQuantization:
    method = str(recipe["quant_method"])
    group = _group(recipe, where, "group_size")
    packing = str(recipe["packing_format"])[:60] if "packing_format" in recipe else None
    if "bits" not in recipe:
        return _described(method, method, None, group, packing=packing)
    bits, group = _common(recipe, _bits(recipe, where, "bits"), group)
    return _described(method, method, bits, group, packing=packing)


_FORMATS: Mapping[str, Callable[[Recipe, str], SourceQuantization]] = {
    "awq": _awq,
    "gptq": _gptq,
    _COMPRESSED: _compressed,
    "bitsandbytes": _bitsandbytes,
    "modelopt": _modelopt,
    "fp8": _fp8,
    "fbgemm_fp8": _fp8,
    "mxfp4": _mxfp4,
}
