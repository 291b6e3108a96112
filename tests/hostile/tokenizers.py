"""Tokenizers that make a text grow, or match, without end; each is found once it is fetched."""

import json
import pickle
from typing import Any

from hostile import good
from hostile.disguises import Payload
from hostile.trick import Trick, invalid, put, unsafe

FILE = "tokenizer.json"
ENDLESS = "can match without end"


def tokenizer(**sections: Any) -> bytes:
    """Return a tokenizer.json with these sections."""
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b", ["b", "a"]]}
    return json.dumps({"version": "1.0", "model": model} | sections).encode()


def says(told: str, **sections: Any) -> Trick:
    """Return a model whose tokenizer gives what the model cannot have."""
    return invalid(put(FILE, tokenizer(**sections)), FILE, told)


def does(told: str, **sections: Any) -> Trick:
    """Return a model whose tokenizer does too much."""
    return unsafe(put(FILE, tokenizer(**sections)), FILE, told)


def is_text(told: str, content: bytes) -> Trick:
    """Return a model whose tokenizer is that text."""
    return invalid(put(FILE, content), FILE, told)


def replace(content: str, **pattern: str) -> dict[str, Any]:
    """Return one replacement."""
    return {"type": "Replace", "pattern": pattern, "content": content}


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    """Return steps one after another."""
    return {"type": "Sequence", "normalizers": list(steps)}


def split(pattern: str) -> dict[str, Any]:
    """Return the splitting of a text by a pattern."""
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}


def template(*pieces: str) -> dict[str, Any]:
    """Return what puts texts into one."""
    single = [{"Sequence": {"id": piece, "type_id": 0}} for piece in pieces]
    return {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}}


def fixed(length: int) -> dict[str, Any]:
    """Return a padding to one length."""
    return {"strategy": {"Fixed": length}, "direction": "Right", "pad_id": 0, "pad_token": "x"}


LATE = tokenizer()[:-1] + b" " * (1 << 17)
"""Without its last bracket, and longer than what is looked at before it is fetched."""
SPECIAL = {"<s>": {"id": "<s>", "ids": [1] * 10_000, "tokens": ["<s>"]}}

TRICKS = {
    "tokenizer-cut": is_text("not valid JSON", LATE),
    "tokenizer-then-something-else": is_text("not valid JSON", LATE + b"}}"),
    "tokenizer-then-binary": is_text("binary data", LATE + b"\0}"),
    "tokenizer-then-no-utf-8": is_text("no UTF-8 text", LATE + b"\xff}"),
    "tokenizer-of-brackets": is_text("not valid JSON", b"[" * 200_000),
    "tokenizer-deep": is_text("nested more than 64", b'{"a":' * 100 + b"1" + b"}" * 100),
    "tokenizer-of-quotes": is_text("at most|are read|JSON", b'{"' + b'\\"' * 5_000_000),
    "tokenizer-of-lists": is_text("lists and objects", b'{"a": [' + b"[]," * 400_000 + b"1]}"),
    "tokenizer-too-large": is_text("beside its vocabulary", b'{"a": "' + b"x" * (9 << 20) + b'"}'),
    "tokenizer-vocabulary-no-numbers": is_text(
        "no token or merge at", b'{"model": {"vocab": {"a": "b"}}}'
    ),
    "tokenizer-merges-nested": is_text(
        "no token or merge at", b'{"model": {"merges": [["a", ["b"]]]}}'
    ),
    "tokenizer-vocabulary-escaped": is_text(
        "has two vocabularies", b'{"model": {"v\\u006fcab": {"a": 4294967295}}}'
    ),
    "tokenizer-number-beyond": says("65664 is beyond", added_tokens=[{"id": 2**32 - 1}]),
    "tokenizer-number-negative": says("the number -1", added_tokens=[{"id": -1}]),
    "tokenizer-number-a-text": says("the number 7.5", added_tokens=[{"id": 7.5}]),
    "tokenizer-vocabulary-beyond": says(
        "the number 4294967295", model={"vocab": {"a": 0, "b": 2**32 - 1}}
    ),
    "tokenizer-padding": says("padding.strategy.Fixed", padding=fixed(10**12)),
    "tokenizer-padding-beyond-context": says("up to 2048", padding=fixed(2049)),
    "tokenizer-padding-multiple": says(
        "pad_to_multiple_of", padding={"strategy": "BatchLongest", "pad_to_multiple_of": 10**9}
    ),
    "tokenizer-truncation": says(
        "truncation.max_length", truncation={"max_length": 10**30, "stride": 0}
    ),
    "tokenizer-truncation-negative": says(
        "truncation.stride", truncation={"max_length": 512, "stride": -1}
    ),
    "tokenizer-grows": does(
        "characters of one", normalizer=sequence(*[replace("a" * 1000, String="a")] * 10)
    ),
    "tokenizer-grows-by-little": does(
        "makes 128 characters", normalizer=sequence(*[replace("aa", String="a")] * 7)
    ),
    "tokenizer-grows-by-pattern": does(
        "characters of one", normalizer=replace("b" * 100, Regex="")
    ),
    "tokenizer-grows-by-decoding": does(
        "decoder in", decoder={"type": "Sequence", "decoders": [replace("x" * 99, String="y")]}
    ),
    "tokenizer-many-steps": does(
        "has 1001 steps", normalizer=sequence(*[replace("a", String="b")] * 1000)
    ),
    "tokenizer-long-text": says(
        "has 100000 characters", normalizer={"type": "Prepend", "prepend": "x" * 100_000}
    ),
    "tokenizer-endless": does(ENDLESS, pre_tokenizer=split("(a+)+$")),
    "tokenizer-endless-branches": does(ENDLESS, pre_tokenizer=split("(a|aa)+$")),
    "tokenizer-endless-normalizer": does(ENDLESS, normalizer=replace("", Regex="(?:x*)*y")),
    "tokenizer-endless-within": does(
        ENDLESS,
        pre_tokenizer={
            "type": "Sequence",
            "pretokenizers": [{"type": "ByteLevel"}, split(r"\p{L}+|(?:(?:.+)+x)+")],
        },
    ),
    "tokenizer-repeats-the-text": does("repeats a text", post_processor=template("A", "A")),
    "tokenizer-repeats-within": does(
        "repeats a text",
        post_processor={"type": "Sequence", "processors": [template(*["B"] * 1000)]},
    ),
    "tokenizer-adds-tokens": does(
        "adds 10000 tokens", post_processor=template("A") | {"special_tokens": SPECIAL}
    ),
    "vocabulary-cut": invalid(put("vocab.json", b'{"a": 1'), "vocab.json", "not valid JSON"),
    "tekken-endless": unsafe(
        put("tekken.json", json.dumps({"config": {"pattern": "(a+)+$"}})), "tekken.json", ENDLESS
    ),
    "sentencepiece-ends-badly": invalid(
        put("tokenizer.model", good.PIECES * 9000 + pickle.dumps(Payload())),
        "tokenizer.model",
        "no sentencepiece model",
    ),
    "merges-end-badly": invalid(
        put("merges.txt", b"a b\n" * 40_000 + b"\0"), "merges.txt", "binary data"
    ),
}
