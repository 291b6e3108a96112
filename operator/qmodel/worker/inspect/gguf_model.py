"""What a GGUF file is, from its own header."""

import re
from collections import Counter
from typing import Any

from qmodel.worker.errors import SourceInvalid, UnsupportedModel
from qmodel.worker.inspect.architectures import GGUF
from qmodel.worker.inspect.config_bounds import (
    MAX_CONTEXT,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_VOCABULARY,
    MAX_WIDTH,
)
from qmodel.worker.inspect.contents import START_BYTES, content_problem
from qmodel.worker.inspect.document import bounded
from qmodel.worker.inspect.gguf import Header, read_header
from qmodel.worker.inspect.layers import (
    GGUF_LAYER,
    Heads,
    kv_layout,
    largest,
    layer_numbers,
    window_flags,
    window_period,
)
from qmodel.worker.inspect.select import Selection
from qmodel.worker.inspect.shapes import contradicting
from qmodel.worker.inspect.templates import check_template
from qmodel.worker.inspect.tensors import total_bytes, total_elements
from qmodel.worker.report import Inspection, SourceQuantization
from qmodel.worker.sources import Source, digest_of, read
from qmodel.worker.task import KVLayout

_UNQUANTIZED = ("F32", "F16", "BF16", "F64")
_EMBEDDING = "token_embd.weight"
_DIGEST_DIGITS = 16
_MAX_EXPERTS = 4096
_MAX_NUMBER = 1 << 32
_MAX_FREE_NUMBER = 1 << 50
"""Of what is told for people, such as the number of parameters."""
_PLAIN = ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "granite", "smollm3")
"""Every layer has the same attention and feed-forward part."""
_EMPTY_LAYERS = ("deci",)
"""Some layers may hold nothing."""
_BY_LAYER = ("attention.head_count", "attention.head_count_kv", "feed_forward_length")
_TEMPLATE = "tokenizer.chat_template"
"""Of the default template; with a name after a dot that of another, and with an s their list."""


def inspect_gguf(source: Source, selection: Selection) -> Inspection:
    """Return what the model is.

    Raises
    ------
    SourceInvalid
        If the header is damaged or contradicts itself.
    UnsupportedModel
        If it is no language model, one part of a split file, or of an unknown architecture.
    """
    path = selection.weights[0]
    if disguise := content_problem(path, read(source, path, 0, START_BYTES)):
        raise disguise
    header = read_header(source, path)
    model = _Metadata(header, path)
    model.check()
    return Inspection(
        source_revision=source.revision(selection.paths),
        source_digest=digest_of(source, selection.paths)[:_DIGEST_DIGITS],
        source_bytes=selection.bytes(source),
        format="gguf",
        architecture=model.architecture,
        parameters=total_elements(header.tensors),
        weight_bytes=total_bytes(header.tensors),
        hidden_size=model.size("embedding_length", MAX_WIDTH),
        layers=model.size("block_count", MAX_LAYERS),
        vocabulary_size=model.vocabulary_size(),
        context_length=model.size("context_length", MAX_CONTEXT),
        attention_heads=model.heads(),
        kv=model.kv(),
        quantization=_quantization(header),
        experts=model.experts(),
        chat_template=_check_templates(header, path),
    )


class _Metadata:
    """The keys of one architecture."""

    def __init__(self, header: Header, path: str) -> None:
        self._header, self._path = header, path
        self._values = header.metadata
        self.architecture = str(self._values.get("general.architecture", ""))[:64]

    def check(self) -> None:
        """Refuse what is no model that continues text, or contradicts itself."""
        kind = self._values.get("general.type", "model")
        if kind != "model" or self.architecture not in GGUF:
            what = f"type {str(kind)[:40]}" if kind != "model" else "architecture"
            message = (
                f"{self._path} has the {what} {self.architecture or 'none'!r}, which the pinned"
                f" llama.cpp does not serve as a model that continues text; it serves {len(GGUF)},"
                " such as llama, qwen3, gemma3, gpt-oss"
            )
            raise UnsupportedModel(message)
        if self._values.get("split.count", 1) not in (0, 1):
            message = f"{self._path} is one part of a split GGUF: join the parts first"
            raise UnsupportedModel(message)
        self._check_numbers()
        self._check_embedding()
        self._check_tokens()
        self._check_layers()
        self._check_shapes()

    def size(self, key: str, largest: int) -> int:
        """Return a size that every model has."""
        return bounded(self._get(key), largest, f"{self.architecture}.{key} in {self._path}")

    def vocabulary_size(self) -> int:
        """Return the number of tokens."""
        tokens = self._header.lengths.get("tokenizer.ggml.tokens") or self._get("vocab_size")
        return bounded(tokens, MAX_VOCABULARY, f"the number of tokens in {self._path}")

    def experts(self) -> int:
        """Return the experts of a layer; 0 where it has none."""
        count = self._optional("expert_count", _MAX_EXPERTS)
        used = self._optional("expert_used_count", _MAX_EXPERTS)
        if used > count:
            message = f"{self._path} uses {used} of {count} experts"
            raise SourceInvalid(message)
        return count

    def heads(self) -> int | None:
        """Return the query heads of a layer; None without attention."""
        return self._largest("attention.head_count") or None

    def kv(self) -> KVLayout:
        """Return what the cache holds."""
        layers = self.size("block_count", MAX_LAYERS)
        beyond = self._optional("nextn_predict_layers", layers - 1)
        shared = self._optional("attention.shared_kv_layers", layers - 1)
        period = window_period(self.architecture)
        window = self._optional("attention.sliding_window", MAX_CONTEXT) if period else 0
        pattern = self._get("attention.sliding_window_pattern")
        where = f"attention.sliding_window_pattern in {self._path}"
        windows = window_flags(pattern, period, layers, where) if period else []
        return kv_layout(
            layer_numbers((tensor.name for tensor in self._header.tensors), GGUF_LAYER),
            layers - beyond - shared,
            windows,
            window,
            self._layer_heads(windows) if windows else [self._most()] * layers,
        )

    def _layer_heads(self, windows: list[bool]) -> list[Heads]:
        """Return what each layer caches of a token."""
        kinds = {windowed: self._heads(windowed=windowed) for windowed in (False, True)}
        counts = self._get("attention.head_count_kv")
        counts = counts if isinstance(counts, list) and len(counts) >= len(windows) else []
        return [
            kinds[windowed]._replace(kv_heads=counts[layer]) if counts else kinds[windowed]
            for layer, windowed in enumerate(windows)
        ]

    def _most(self) -> Heads:
        """Return the largest sizes of all layers."""
        return largest(self._heads(windowed=windowed) for windowed in (False, True))

    def _heads(self, *, windowed: bool) -> Heads:
        """Return what a layer caches of a token, with the key-value heads of the one with most."""
        heads = self._largest("attention.head_count")
        kv_heads = self._largest("attention.head_count_kv") or heads
        hidden = self.size("embedding_length", MAX_WIDTH)
        plain = hidden // heads if heads else 0
        key = self._optional("attention.key_length", MAX_WIDTH) or plain
        value = self._optional("attention.value_length", MAX_WIDTH) or plain
        if windowed:
            key = self._optional("attention.key_length_swa", MAX_WIDTH) or key
            value = self._optional("attention.value_length_swa", MAX_WIDTH) or value
        latent = self._optional("attention.key_length_mla", MAX_WIDTH)
        return Heads(kv_heads, key, 0 if latent else value)

    def _check_embedding(self) -> None:
        """Check the width and the vocabulary against the embedding."""
        hidden = self.size("embedding_length", MAX_WIDTH)
        embedding = next((t for t in self._header.tensors if t.name == _EMBEDDING), None)
        if embedding is None:
            message = f"{self._path} has no {_EMBEDDING}"
            raise SourceInvalid(message)
        if embedding.shape != (self.vocabulary_size(), hidden):
            shape = " x ".join(map(str, embedding.shape))
            message = (
                f"{self._path} says {self.vocabulary_size()} tokens of width {hidden}, but"
                f" {_EMBEDDING} is {shape}"
            )
            raise SourceInvalid(message)

    def _check_numbers(self) -> None:
        """Check every whole number: engines take more of them than are read here."""
        for key, value in self._values.items():
            most = _MAX_FREE_NUMBER if key.startswith("general.") else _MAX_NUMBER
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, int) and abs(item) > most:
                    message = f"{key[:100]} in {self._path} is {item}: at most {most}"
                    raise SourceInvalid(message)

    def _check_layers(self) -> None:
        """Check that the stated layers are there; those that predict further tokens may lack."""
        stated = self.size("block_count", MAX_LAYERS)
        needed = stated - self._optional("nextn_predict_layers", stated - 1)
        found = layer_numbers((tensor.name for tensor in self._header.tensors), GGUF_LAYER)
        missing = [layer for layer in range(needed) if layer not in found]
        if max(found, default=0) >= stated or (missing and self.architecture not in _EMPTY_LAYERS):
            message = (
                f"{self._path} says {stated} layers, but its tensors make {len(found)}, the last of"
                f" them number {max(found, default=0)}"
            )
            raise SourceInvalid(message)

    def _check_shapes(self) -> None:
        """Check heads and widths against the matrices that they make."""
        hidden = self.size("embedding_length", MAX_WIDTH)
        kv_heads, key, value = self._most()
        heads = self._largest("attention.head_count")
        feed = self._optional("feed_forward_length", MAX_WIDTH)
        alike = not any(isinstance(self._get(name), list) for name in _BY_LAYER)
        exact = alike and self.architecture in _PLAIN
        self._check_part(
            "attn_k", kv_heads * max(key, 1), hidden, f"{kv_heads} x {key} keys", exact
        )
        self._check_part("attn_v", kv_heads * value, hidden, f"{kv_heads} x {value} values", exact)
        self._check_part("attn_q", heads * max(key, 1), hidden, f"{heads} x {key} queries", exact)
        self._check_part("ffn_up", feed, hidden, f"feed_forward_length {feed}", exact)

    def _check_part(self, part: str, rows: int, hidden: int, stated: str, exact: bool) -> None:  # noqa: FBT001
        """Check one matrix of every layer; a size of 0 is not stated."""
        name = re.compile(rf"blk\.\d+\.{part}\.weight")
        found = [tensor for tensor in self._header.tensors if name.fullmatch(tensor.name)]
        if rows and (tensor := contradicting(found, [(rows, hidden)], exact=exact)):
            shape = " x ".join(map(str, tensor.shape))
            message = f"{self._path} says {stated}, but {tensor.name} is {shape}"
            raise SourceInvalid(message)

    def _check_tokens(self) -> None:
        """Check that what is told of each token is told of all: readers go through them at once."""
        lengths = self._header.lengths
        tokens = lengths.get("tokenizer.ggml.tokens", 0)
        for key in ("tokenizer.ggml.scores", "tokenizer.ggml.token_type"):
            if lengths.get(key, tokens) != tokens:
                message = f"{self._path} has {tokens} tokens, but {key} tells {lengths[key]}"
                raise SourceInvalid(message)

    def _get(self, key: str) -> Any:
        return self._values.get(f"{self.architecture}.{key}")

    def _optional(self, key: str, largest: int) -> int:
        """Return a size that some models have, else 0; the largest where layers differ."""
        value = self._get(key)
        if isinstance(value, list):
            value = max(value, default=0)
        return self._bounded_or_zero(key, value, largest)

    def _largest(self, key: str) -> int:
        return self._optional(key, MAX_HEADS)

    def _bounded_or_zero(self, key: str, value: object, largest: int) -> int:
        if value in (None, 0):
            return 0
        return bounded(value, largest, f"{self.architecture}.{key} in {self._path}")


def _check_templates(header: Header, path: str) -> bool:
    """Check every chat template; return whether there is one."""
    found = [key for key in header.metadata if key.startswith(_TEMPLATE) and header.metadata[key]]
    for key in found:
        if key != f"{_TEMPLATE}s":
            check_template(header.metadata[key], f"{key[:80]} in {path}")
    return bool(found)


def _quantization(header: Header) -> SourceQuantization | None:
    """Return the type that holds most of the weights, unless they are not quantized."""
    counts: Counter[str] = Counter()
    for tensor in header.tensors:
        counts[tensor.type] += tensor.bytes
    common = counts.most_common(1)[0][0] if counts else "F32"
    if common in _UNQUANTIZED:
        return None
    return SourceQuantization(format="gguf", description=f"GGUF {common}")
