"""Headers of GGUF files that lie."""

import struct
from typing import Any

from hostile import good
from hostile.good import gguf, metadata, tensor
from hostile.trick import Trick, only

FILE = "m.gguf"


def told(content: bytes, what: str, reason: str = "SourceInvalid") -> Trick:
    """Return a model that is one GGUF file."""
    return Trick(only(FILE, content), reason, what, FILE, "None")


def says(what: str, **changes: Any) -> Trick:
    """Return a model with metadata that lie."""
    return told(gguf(metadata(**changes)), what)


def holds(what: str, *tensors: bytes, reason: str = "SourceInvalid") -> Trick:
    """Return a model with a tensor more, or others, that lie."""
    return told(gguf(tensors=[*good.entries(), *tensors]), what, reason)


def more(what: str, entry: bytes, **changes: Any) -> Trick:
    """Return a model with one tensor more, whose data are there."""
    content = gguf(metadata(**changes), [*good.entries(), entry])
    return told(content + bytes(32 * 64 * 4), what)


def start(version: int = 3, tensors: int = 2, entries: int = 8, magic: bytes = b"GGUF") -> bytes:
    """Return the first bytes of a file."""
    return magic + struct.pack("<IQQ", version, tensors, entries)


END = sum(4 * rows * width for rows, width in good.TENSORS.values())
LONG_TEXT = struct.pack("<IQ", 8, 1 << 63)
LONG_ARRAY = struct.pack("<IIQ", 9, 4, 1 << 60)
MANY_TEXTS = struct.pack("<IIQ", 9, 8, 1 << 40)
NESTED = struct.pack("<IIQ", 9, 9, 1)
UNKNOWN = struct.pack("<I", 99)
NUMBERS = struct.pack("<IIQ", 9, 4, 8000) + bytes(32_000)
MUCH = {f"x.{number}": NUMBERS for number in range(600)}
"""Nineteen megabytes, of which a careless reader makes 170."""

TRICKS = {
    "gguf-other-magic": told(gguf(start=start(magic=b"GGML")), "does not begin with GGUF"),
    "gguf-version-4": told(gguf(start=start(version=4)), "version 4", "UnsupportedModel"),
    "gguf-big-endian": told(gguf(start=start(3 << 24)), "version 50331648", "UnsupportedModel"),
    "gguf-many-tensors": told(gguf(start=start(tensors=1 << 60)), "announces 1152921504606846976"),
    "gguf-many-entries": told(gguf(start=start(entries=1 << 60)), "announces 2 tensors and 11529"),
    "gguf-more-entries-than-there-are": told(gguf(start=start(entries=9_999)), "damaged"),
    "gguf-cut": told(gguf()[:-4096], "truncated"),
    "gguf-cut-in-header": told(gguf()[:100], "ends beyond its 100 bytes"),
    "gguf-text-too-long": says("ends beyond", x__y=LONG_TEXT),
    "gguf-array-too-long": says("ends beyond", x__y=LONG_ARRAY),
    "gguf-array-of-many-texts": says("an array of 1099511627776 texts", x__y=MANY_TEXTS),
    "gguf-array-nested": says("an array of type 9", x__y=NESTED),
    "gguf-unknown-value": says("metadata of unknown type 99", x__y=UNKNOWN),
    "gguf-much-metadata": told(gguf(metadata() | MUCH), "its metadata holds more than"),
    "gguf-alignment-zero": says("alignment is 0", general__alignment=0),
    "gguf-alignment-odd": says("alignment is 31", general__alignment=31),
    "gguf-alignment-a-text": says("alignment is '32'", general__alignment="32"),
    "gguf-alignment-huge": says("alignment is", general__alignment=1 << 40),
    "gguf-key-twice": told(
        gguf(
            metadata(),
            start=start(entries=9) + good.text("llama.block_count") + good.value(7),
        ),
        "twice",
    ),
    "gguf-tensor-twice": holds("a tensor twice", tensor("token_embd.weight", (8, 8), END)),
    "gguf-unknown-type": holds(
        "unknown type 4", tensor("x", (8, 8), END, kind=4), reason="UnsupportedModel"
    ),
    "gguf-no-dimensions": holds("0 dimensions", tensor("x", (), END)),
    "gguf-nine-dimensions": holds("9 dimensions", tensor("x", (1,) * 9, END)),
    "gguf-empty-tensor": holds("has the shape", tensor("x", (0, 8), END)),
    "gguf-shape-overflows": holds("has the shape", tensor("x", (1 << 40, 1 << 40), END)),
    "gguf-row-no-blocks": holds("has the shape", tensor("x", (8, 33), END, kind=8)),
    "gguf-tensors-overlap": holds("begins at 0, not at", tensor("x", (8, 8), 0)),
    "gguf-tensor-beyond-file": holds("begins at", tensor("x", (8, 8), 1 << 62)),
    "gguf-no-embedding": told(gguf(tensors=good.entries()[1:]), "begins at 32768"),
    "gguf-layers-absurd": says("llama.block_count", llama__block_count=10**9),
    "gguf-width-absurd": says("llama.embedding_length", llama__embedding_length=1 << 40),
    "gguf-context-zero": says("llama.context_length", llama__context_length=0),
    "gguf-heads-a-text": says("llama.attention.head_count", llama__attention__head_count="4"),
    "gguf-vocabulary-lies": says(
        "says 64 tokens", tokenizer__ggml__tokens=[f"t{number}" for number in range(64)]
    ),
    "gguf-scores-of-some-tokens": says("has 128 tokens, but", tokenizer__ggml__scores=["x"] * 64),
    "gguf-layers-that-are-not-there": says("says 4000 layers", llama__block_count=4000),
    "gguf-layers-beyond": more("says 1 layers", tensor("blk.7.attn_k.weight", (32, 64), END)),
    "gguf-many-heads": says(
        "60000 x 16 keys", llama__attention__head_count_kv=60_000,
        llama__attention__key_length=16,
    ),
    "gguf-more-heads-than-width": says(
        "60000 x 0 keys", llama__attention__head_count=65_536,
        llama__attention__head_count_kv=60_000,
    ),
    "gguf-wide-keys": says("2 x 1048576 keys", llama__attention__key_length=1 << 20),
    "gguf-queries-contradict": more(
        "4 x 16 queries", tensor("blk.0.attn_q.weight", (32, 64), END)
    ),
    "gguf-feed-forward-absurd": says(
        "llama.feed_forward_length", llama__feed_forward_length=1 << 60
    ),
    "gguf-feed-forward-contradicts": more(
        "feed_forward_length 1048576", tensor("blk.0.ffn_up.weight", (8, 64), END),
        llama__feed_forward_length=1 << 20,
    ),
    "gguf-rope-absurd": says("dimension_count", llama__rope__dimension_count=1 << 60),
    "gguf-context-absurd": says("llama.context_length", llama__context_length=1 << 31),
    "gguf-token-absurd": says("bos_token_id", tokenizer__ggml__bos_token_id=1 << 41),
    "gguf-more-experts-used": says("uses 9 of 4 experts", llama__expert_count=4,
                                   llama__expert_used_count=9),
    "gguf-template-loops": told(
        gguf(metadata(tokenizer__chat_template="{% for i in range(999999) %}{% endfor %}")),
        "loops", "UnsafeModel",
    ),
    "gguf-template-for-tools": told(
        gguf(metadata() | {"tokenizer.chat_template.tool_use": "{{ x.__class__ }}"}),
        "__class__", "UnsafeModel",
    ),
    "gguf-no-language-model": told(
        gguf(metadata(general__type="mmproj")), "mmproj", "UnsupportedModel"
    ),
}  # fmt: skip
