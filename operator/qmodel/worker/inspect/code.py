"""Doors by which a model asks to run code of its own: all are refused, wherever they are.

Neither engine is told to trust remote code, and no program is among the files that are fetched.
A model that names code is refused all the same: without its code it is not the model it claims to
be, and a library's default may change.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from qmodel.worker.errors import SourceInvalid, UnsafeModel
from qmodel.worker.sources import Source

_CODE_KEYS = frozenset({
    "auto_map", "custom_code", "custom_generate", "custom_pipelines", "trust_remote_code",
    "code_revision", "remote_code", "_target_", "py/object", "py/reduce", "py/function",
    "__reduce__", "__class__", "use_kernels", "kernel_config",
})  # fmt: skip
"""Of transformers (its kernels are code of the hub too), diffusers, Hydra and jsonpickle."""
_OTHER_MODELS = frozenset({
    "text_model_id", "audio_model_id", "mm_vision_tower", "speculators_config",
    "use_pretrained_backbone",
})  # fmt: skip
"""Keys by which engines load further weights: vLLM takes the verifier of speculators_config, from
wherever it lies, for the model itself."""
_PARTS = re.compile(r"(?:.*_)?(?:tower|backbone|timm_model)(?:_name)?")
"""Keys of a part of the model: a configuration of its own, or the name of a kind."""
_IMPLEMENTATION = re.compile(r".*_implementation(?:_internal)?")
"""Keys that choose among what transformers brings, or name a kernel of the hub."""
_CLASS_KEYS = frozenset({
    "tokenizer_class", "processor_class", "image_processor_type", "feature_extractor_type",
    "model_type", "quant_method", "slow_tokenizer_class", "config_class",
})  # fmt: skip
_CLASS = re.compile(r"[A-Za-z0-9][\w.-]{0,127}")
_FILE_KEYS = re.compile(r"(?!special_tokens_map_).*_files?")
"""Files that a tokenizer opens; special_tokens_map_file only tells where one was once."""
_PROGRAMS = (".py", ".pyc", ".pyd", ".pyx", ".pyz", ".so", ".dll", ".dylib", ".exe", ".sh", ".whl")
_PROGRAM_FOLDERS = ("custom_generate/",)
_MAX_SHOWN = 200


def check_document(document: Mapping[str, Any], where: str) -> None:
    """Check that a configuration names no code, at any depth.

    Raises
    ------
    UnsafeModel
        Naming the key and its value.
    SourceInvalid
        If the name of a class is none, or a file leaves the model's folder.
    """
    for path, key, value in _members(document):
        name = f"{where}: {path}{key}"
        if key in _CODE_KEYS and value:
            _refuse_code(where, f"{path}{key}", value)
        if _IMPLEMENTATION.fullmatch(key) and _leads_away(value):
            _refuse_code(where, f"{path}{key}", value)
        if (key in _OTHER_MODELS and value) or _is_of_another(key, value):
            message = f"{name} is {_shown(value)}: weights of another repository are not loaded"
            raise UnsafeModel(message)
        if key in _CLASS_KEYS and isinstance(value, str) and not _is_class(value):
            message = f"{name} is {_shown(value)}, which is no name of a class"
            raise SourceInvalid(message)
        if _FILE_KEYS.fullmatch(key) and not _stays(value):
            message = f"{name} is {_shown(value)}, which leaves the model's folder"
            raise SourceInvalid(message)


def check_programs(source: Source) -> None:
    """Check that no program lies beside the weights.

    Raises
    ------
    UnsafeModel
        Naming it, and how to leave it out.
    """
    for path in source.files:
        beside = "/" not in path or path.startswith(_PROGRAM_FOLDERS)
        if beside and PurePosixPath(path.lower()).suffix in _PROGRAMS:
            message = (
                f"{source.name} holds the program {path}: code of a model is not run; leave it out"
                " (spec.source.huggingFace.exclude, or a folder without it) if the model needs none"
            )
            raise UnsafeModel(message)


def _members(document: object) -> Iterator[tuple[str, str, Any]]:
    """Yield the path, the key and the value of every member at any depth."""
    waiting: list[tuple[str, object]] = [("", document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                yield path, str(key), inner
                waiting.append((f"{path}{key}."[-_MAX_SHOWN:], inner))
        elif isinstance(value, list):
            waiting.extend((path, inner) for inner in value)


def _refuse_code(where: str, key: str, value: object) -> None:
    """Refuse a model that names code of its own."""
    if key.endswith("auto_map") and isinstance(value, dict):
        inner, value = next(iter(value.items()))
        key = f"{key}.{inner}"
    message = (
        f"{where} asks to run code of the repository: {key[:_MAX_SHOWN]} is {_shown(value)};"
        " remote code is not run, use a repository whose architecture needs none"
    )
    raise UnsafeModel(message)


def _is_class(name: str) -> bool:
    """Whether a name is plain: no path, no module of another package."""
    return bool(_CLASS.fullmatch(name)) and ".." not in name


def _stays(value: object) -> bool:
    """Whether each name in a value is a file beside the configuration."""
    return not any(re.search(r"[/\\\0]|\.\.", name) for name in _texts(value))


def _is_of_another(key: str, value: object) -> bool:
    """Whether a part of the model is named by a repository or a path."""
    return isinstance(value, str) and bool(_PARTS.fullmatch(key)) and _leads_away(value)


def _leads_away(value: object) -> bool:
    """Whether a text in a value is more than the name of a kind, as repositories and paths are."""
    return any(re.search(r"[/\\:@]|\.\.", name) for name in _texts(value))


def _texts(value: object) -> Iterator[str]:
    """Yield a text, or those that a list or an object holds."""
    if isinstance(value, dict):
        value = list(value.values())
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield item


def _shown(value: object) -> str:
    return repr(str(value)[:_MAX_SHOWN])
