"""Configs that a newer transformers wrote, in the words of the one that the old libraries need.

AutoAWQ and AutoGPTQ ended with transformers 4.51, which ignores the keys that it does not know:
from `rope_parameters` it would read no rotary base and silently compute another model. Where the
meaning is certain the old keys are written, in a copy beside links to the weights; where it is
not, the model is refused.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from qmodel.worker.errors import UnsupportedModel
from qmodel.worker.legacy_limits import ALTERNATIVE

Document = dict[str, Any]

OLD = (4, 51)
"""The transformers whose words these are."""
ROPE_KEYS: Mapping[str, frozenset[str]] = {
    "default": frozenset(),
    "linear": frozenset({"factor"}),
    "dynamic": frozenset({"factor", "original_max_position_embeddings"}),
    "yarn": frozenset({"factor", "original_max_position_embeddings", "attention_factor",
                       "beta_fast", "beta_slow"}),
    "longrope": frozenset({"factor", "original_max_position_embeddings", "attention_factor",
                           "short_factor", "long_factor"}),
    "llama3": frozenset({"factor", "original_max_position_embeddings", "low_freq_factor",
                         "high_freq_factor"}),
}  # fmt: skip
"""What each kind of rotary embedding reads in the old version, beside its base."""
PARTIAL_ROTARY_MODELS = ("glm", "nemotron", "persimmon", "phi", "phi3", "stablelm")
"""They name the rotated share of a head `partial_rotary_factor` in the old version too."""
HARMLESS = frozenset({
    "_name_or_path", "architectures", "dtype", "model_type", "pretraining_tp", "torch_dtype",
    "transformers.js_config", "transformers_version", "unsloth_fixed", "unsloth_version",
})  # fmt: skip
"""Keys that no computation reads."""


@contextmanager
def readable(source: Path, known_keys: Callable[[str], Collection[str]]) -> Iterator[Path]:
    """Yield a temporary folder with the model of `source`, its configs in the old words.

    Parameters
    ----------
    source
        Holds config.json and the weights, which are linked.
    known_keys
        Returns the keys of a model type's config in the old version.

    Raises
    ------
    UnsupportedModel
        If something in the config has no certain meaning there.
    """
    config = translated(json.loads((source / "config.json").read_bytes()), known_keys)
    rewritten = {"config.json": config}
    if (settings := source / "tokenizer_config.json").exists():
        rewritten[settings.name] = translated_tokenizer(json.loads(settings.read_bytes()))
    with TemporaryDirectory(prefix="readable-") as folder:
        for path in source.iterdir():
            if path.is_file() and path.name not in rewritten:
                (Path(folder) / path.name).symlink_to(path.resolve())
        for name, document in rewritten.items():
            (Path(folder) / name).write_text(json.dumps(document, indent=2))
        yield Path(folder)


def translated(config: Document, known_keys: Callable[[str], Collection[str]]) -> Document:
    """Return a config.json in the old words."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        message = "config.json names no model_type"
        raise UnsupportedModel(message)
    known = set(known_keys(model_type))
    old = {key: value for key, value in config.items() if key not in ("rope_parameters", "dtype")}
    _set(old, "torch_dtype", config.get("dtype"))
    if rope := config.get("rope_parameters"):
        for key, value in _rope(model_type, rope).items():
            _set(old, key, value)
    if old.get("layer_types") is not None and "layer_types" not in known:
        _check_layer_types(model_type, old.pop("layer_types"))
    if _is_newer(config.get("transformers_version")):
        _check_keys(old, known | HARMLESS)
    return old


def translated_tokenizer(settings: Document) -> Document:
    """Return a tokenizer_config.json in the old words; tokenizer.json itself has not changed."""
    old = dict(settings)
    if old.get("tokenizer_class") in ("TokenizersBackend", None):
        old["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(extra := old.get("extra_special_tokens"), list):
        del old["extra_special_tokens"]
        _set(old, "additional_special_tokens", extra)
    return old


def _rope(model_type: str, rope: object) -> Document:
    """Return the old keys for `rope_parameters`."""
    if not isinstance(rope, dict) or any(isinstance(value, dict) for value in rope.values()):
        message = "rope_parameters differ between layers, which transformers 4.51 cannot say"
        raise _refused(message)
    kind = rope.get("rope_type", "default")
    scaling = {key: value for key, value in rope.items() if value is not None} | {"rope_type": kind}
    old = {"rope_theta": scaling.pop("rope_theta", None)}
    if model_type in PARTIAL_ROTARY_MODELS:
        old["partial_rotary_factor"] = scaling.pop("partial_rotary_factor", None)
    if kind not in ROPE_KEYS:
        message = f"rope_type {kind!r} is not known to transformers 4.51"
        raise _refused(message)
    if unknown := scaling.keys() - ROPE_KEYS[kind] - {"rope_type"}:
        message = f"rope_parameters.{min(unknown)} of rope_type {kind} has no meaning there"
        raise _refused(message)
    return old | {"rope_scaling": None if kind == "default" else scaling}


def _check_layer_types(model_type: str, kinds: object) -> None:
    """Refuse layers that attend otherwise than the old version assumes."""
    if not isinstance(kinds, list) or not kinds:
        message = f"layer_types {kinds!r} cannot be read"
        raise _refused(message)
    period = ("sliding_attention", "full_attention") if model_type == "gemma2" else (kinds[0],)
    assumed = [period[index % len(period)] for index in range(len(kinds))]
    if kinds != assumed or (model_type != "gemma2" and kinds[0] != "full_attention"):
        message = f"layer_types of this {model_type} are not those of transformers 4.51"
        raise _refused(message)


def _check_keys(config: Document, known: Collection[str]) -> None:
    """Refuse keys that the old version would ignore, unless they switch something off."""
    unknown = sorted(key for key, value in config.items() if key not in known and value)
    if unknown:
        message = f"config.json has {', '.join(unknown)}, which transformers 4.51 would ignore"
        raise _refused(message)


def _is_newer(version: object) -> bool:
    """Whether a config was, or may have been, written by a version after the old one."""
    try:
        major, minor = str(version).split(".")[:2]
        return (int(major), int(minor)) > OLD
    except ValueError:
        return True


def _set(config: Document, key: str, value: object) -> None:
    """Set a key, unless it is there and says something else."""
    if value is None and key in config:
        return
    if value is not None and config.get(key) not in (None, value):
        message = f"config.json says {key} twice: {config[key]!r} and {value!r}"
        raise UnsupportedModel(message)
    config[key] = value


def _refused(what: str) -> UnsupportedModel:
    return UnsupportedModel(f"{what}: {ALTERNATIVE}")
