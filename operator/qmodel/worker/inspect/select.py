"""Which files of a source make the model: the same choice when inspecting and when fetching."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Literal

from qmodel.worker.errors import SourceInvalid, SourceNotFound, UnsafeModel, UnsupportedModel
from qmodel.worker.inspect.document import MAX_INDEX_BYTES, load_object
from qmodel.worker.sources import Source

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"

COMPANIONS = (
    CONFIG, INDEX, "generation_config.json", "preprocessor_config.json", "processor_config.json",
    "video_preprocessor_config.json", "quantize_config.json", "quant_config.json",
    "hf_quant_config.json", "chat_template.jinja", "chat_template.json", "tokenizer.json",
    "tokenizer.jsonl", "tokenizer_config.json", "tokenizer.model", "tokenizer.model.v3",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
    "spiece.model", "sentencepiece.bpe.model", "tekken.json", "rwkv_vocab_*.txt", "*.tiktoken",
    "README.md",
)  # fmt: skip
"""What converters and engines read beside the weights."""
_LICENCE = re.compile(r"(?:LICENSE|NOTICE)(?:[-_][A-Za-z0-9_-]+(?:\.[0-9]+)*)?(?:\.txt|\.md)?")
"""What the licence asks to keep: texts, and never what an engine would take for weights."""

TOKENIZERS = (
    "tokenizer.json", "tokenizer.jsonl", "tokenizer.model", "vocab.json", "vocab.txt",
    "spiece.model", "sentencepiece.bpe.model", "tekken.json", "rwkv_vocab_*.txt", "*.tiktoken",
)  # fmt: skip

PICKLES = (
    "*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.joblib", "*.dill", "*.npy", "*.npz",
    "*.h5", "*.hdf5", "*.keras", "*.pb", "*.msgpack", "*.nemo", "*.mar", "*.tar", "*.tgz",
    "*.tar.gz", "*.zip", "*.7z",
)  # fmt: skip
"""Formats that unpickle or run what they hold, and archives that may hold such."""
_NO_TEXT = ("*.safetensors", "*.gguf", *PICKLES)
_ADAPTER = "adapter_config.json"
_MAX_COMPANION_BYTES = 256 << 20
_LISTED = 10
_SHARD = re.compile(r"model-(\d{1,6})-of-(\d{1,6})\.safetensors")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,250}\.safetensors")
_OTHER_WEIGHTS = ("adapter*", "consolidated*", "tokenizer*", "*optimizer*", "*training*")
"""Safetensors that are not the model, or are it a second time."""
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


@dataclass(frozen=True)
class Selection:
    """The files to fetch."""

    format: Literal["safetensors", "gguf"]
    weights: tuple[str, ...]
    """Files with tensors, sorted."""
    companions: tuple[str, ...] = ()
    """Configuration, tokenizer and licence."""

    @property
    def paths(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.weights, *self.companions)

    def bytes(self, source: Source) -> int:
        """Return their bytes."""
        return sum(source.files[path].bytes for path in self.paths)


def select(source: Source) -> Selection:
    """Choose the files: the one GGUF that was asked for, safetensors, or the only GGUF.

    Raises
    ------
    UnsafeModel
        If the weights are stored as pickle only.
    UnsupportedModel
        If nothing here is a model, or several GGUF files are.
    SourceInvalid
        If shards are missing or the index leaves the folder.
    """
    if source.wanted is not None:
        return _gguf(source.wanted)
    shards = _shards(source)
    if shards:
        return Selection("safetensors", shards, _companions(source))
    files = [path for path in source.files if _is_model_gguf(path)]
    if len(files) == 1:
        return _gguf(files[0])
    if files:
        message = (
            f"{source.name} holds {len(files)} GGUF files; set {source.hint} to one of:"
            f" {listed(files)}"
        )
        raise UnsupportedModel(message)
    raise _nothing(source)


def matching(paths: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the top-level files that match one of the patterns, sorted."""
    return sorted(
        path
        for path in paths
        if "/" not in path and any(fnmatchcase(path, pattern) for pattern in patterns)
    )


def beside_weights(paths: Sequence[str]) -> list[str]:
    """Return the top-level files that stand beside the weights, licences among them, sorted."""
    licences = [path for path in paths if _LICENCE.fullmatch(path)]
    return sorted({*matching(paths, COMPANIONS), *licences})


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(sorted(names)[:_LISTED]) + more


def _gguf(path: str) -> Selection:
    """Return one GGUF file as the model."""
    if _SPLIT.search(path):
        message = (
            f"{path} is one part of a split GGUF, which is not served yet: join the parts with"
            " llama-gguf-split --merge"
        )
        raise UnsupportedModel(message)
    return Selection("gguf", (path,))


def _is_model_gguf(path: str) -> bool:
    """Whether a file is a GGUF with a language model: projectors of images are not."""
    return path.endswith(".gguf") and not PurePosixPath(path).name.startswith("mmproj")


def _shards(source: Source) -> tuple[str, ...]:
    """Return the safetensors files that the converter reads, by the index if there is one."""
    present = matching(list(source.files), ["model*.safetensors"])
    if INDEX in source.files:
        return _indexed(source)
    if not present:
        return _otherwise_named(source)
    if SINGLE in present:
        return (SINGLE,)
    found = [match for path in present if (match := _SHARD.fullmatch(path))]
    counts = {int(match[2]) for match in found}
    if counts and counts != {len(found)}:
        message = f"{source.name} holds {len(found)} of {max(counts)} shards: {listed(present)}"
        raise SourceInvalid(message)
    return tuple(present)


def _otherwise_named(source: Source) -> tuple[str, ...]:
    """Return safetensors of other names, as AutoGPTQ wrote (gptq_model-4bit-128g)."""
    named = matching(list(source.files), ["*.safetensors"])
    others = matching(named, _OTHER_WEIGHTS)
    return tuple(name for name in named if name not in others)


def _indexed(source: Source) -> tuple[str, ...]:
    """Return the shards that the index names."""
    weight_map = load_object(source, INDEX, MAX_INDEX_BYTES).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        message = f"{INDEX} has no weight_map"
        raise SourceInvalid(message)
    names = {str(name) for name in weight_map.values()}
    strange = sorted(name for name in names if not _PLAIN_NAME.fullmatch(name))
    if strange:
        message = f"{INDEX} names a shard that is no file beside it: {strange[0][:200]!r}"
        raise SourceInvalid(message)
    missing = sorted(names - set(source.files))
    if missing:
        message = f"{source.name} lacks {len(missing)} of {len(names)} shards: {listed(missing)}"
        raise SourceInvalid(message)
    return tuple(sorted(names))


def _companions(source: Source) -> tuple[str, ...]:
    """Return the files beside the weights, none of them absurdly large or weights in disguise."""
    names = list(source.files)
    for path in matching(matching(names, ("LICENSE*", "NOTICE*")), _NO_TEXT):
        message = f"{path} is named as a licence and as weights: LICENSE, .txt or .md is expected"
        raise UnsafeModel(message)
    chosen = beside_weights(names)
    for path in chosen:
        if source.files[path].bytes > _MAX_COMPANION_BYTES:
            message = f"{path} has {source.files[path].bytes} bytes: it is not what its name says"
            raise SourceInvalid(message)
    return tuple(chosen)


def _nothing(source: Source) -> Exception:
    """Return why nothing here can be used."""
    names = list(source.files)
    pickles = matching(names, PICKLES)
    if pickles:
        return UnsafeModel(
            f"{source.name} stores its weights as pickle or in an archive, which can run code when"
            f" it is read, and not as safetensors: {listed(pickles)}; use a repository with"
            " safetensors"
        )
    if _ADAPTER in source.files:
        return UnsupportedModel(
            f"{source.name} is an adapter ({_ADAPTER}), not a whole model: merge it into its base,"
            " which is not loaded from elsewhere"
        )
    return SourceNotFound(
        f"{source.name} holds no model: {CONFIG} with model*.safetensors, or a .gguf file, is"
        f" expected; found {listed(names) or 'nothing'}"
    )
