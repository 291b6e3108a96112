"""Headers of safetensors files that lie."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile import good
from hostile.trick import Build, Trick, config, invalid

WEIGHTS = "model.safetensors"
ONE = {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}


def told(header: bytes | dict[str, Any], what: str, data_bytes: int = 8) -> Trick:
    """Return a model whose weights have that header."""
    content = good.safetensors(header, data_bytes)
    return invalid(lambda folder: (folder / WEIGHTS).write_bytes(content), WEIGHTS, what)


def one(what: str, data_bytes: int = 8, **changes: Any) -> Trick:
    """Return a model with one tensor that lies."""
    return told({"x": ONE | changes}, what, data_bytes)


def resized(change: Callable[[int], int]) -> Build:
    """Return the cutting or lengthening of the good weights."""

    def build(folder: Path) -> None:
        path = folder / WEIGHTS
        os.truncate(path, change(path.stat().st_size))

    return build


def announced(length: int) -> Build:
    """Return the good weights with another length of their header."""

    def build(folder: Path) -> None:
        path = folder / WEIGHTS
        path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])

    return build


def huge_header(folder: Path) -> None:
    """Announce a header of 100 MB in a (sparse) file that has it."""
    path = folder / WEIGHTS
    path.write_bytes((100_000_000).to_bytes(8, "little") + b"{")
    os.truncate(path, 100_000_008)


def in_two_shards(folder: Path) -> None:
    """Hold every tensor in both shards."""
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).unlink()
    for number in (1, 2):
        (folder / f"model-0000{number}-of-00002.safetensors").write_bytes(content)


def index_lies(folder: Path) -> None:
    """Let the index name a tensor that no shard holds."""
    index = json.dumps({"weight_map": {"lost": WEIGHTS}})
    (folder / "model.safetensors.index.json").write_text(index)


def rewritten(
    what: str, change: Callable[[dict[str, Any]], dict[str, Any]], **changes: Any
) -> Trick:
    """Return the good model, the header of whose weights is changed and whose data stay."""

    def build(folder: Path) -> None:
        path = folder / WEIGHTS
        content = path.read_bytes()
        data = content[8 + int.from_bytes(content[:8], "little") :]
        path.write_bytes(good.safetensors(change(good.header(folder))) + data)
        config(**changes)(folder)

    return Trick(
        build, "SourceInvalid", what, "config.json" if changes else "model.layers.0", "FP8"
    )


def typed(dtype: str, width: int) -> Trick:
    """Return a model one of whose linear weights is of that type, and nobody says why."""
    changes = {"dtype": dtype, "shape": [64, width]}
    return rewritten(
        f"is {dtype}, but no configuration", lambda told: told | {QUERY: told[QUERY] | changes}
    )


def renamed(old: str, new: str) -> Trick:
    """Return a model with scales beside a weight that nobody says to be quantized."""
    return rewritten(
        "beside quantized weights",
        lambda told: {new if name == old else name: entry for name, entry in told.items()},
    )


QUERY = "model.layers.0.self_attn.q_proj.weight"
TWICE = (
    b'{"x":' + json.dumps(ONE).encode() + b',"x":{"dtype":"U8","shape":[4,2],"data_offsets":[0,8]}}'
)
PAIR = {"a": ONE, "b": ONE | {"data_offsets": [4, 12]}}
GAP = {"a": ONE, "b": ONE | {"data_offsets": [9, 17]}}

TRICKS = {
    "header-longer-than-file": invalid(announced(1 << 40), WEIGHTS, "announces a header of"),
    "header-of-no-length": invalid(announced(0), WEIGHTS, "announces a header of 0"),
    "header-negative": invalid(announced((1 << 64) - 1), WEIGHTS, "18446744073709551615"),
    "header-of-100-MB": invalid(huge_header, WEIGHTS, "announces a header of 100000000"),
    "header-cut": invalid(resized(lambda _: 100), WEIGHTS, "no whole safetensors file"),
    "weights-cut": invalid(resized(lambda size: size - 1), WEIGHTS, "truncated"),
    "weights-too-long": invalid(resized(lambda size: size + 1), WEIGHTS, "truncated or damaged"),
    "weights-empty": invalid(resized(lambda _: 0), WEIGHTS, "0 bytes"),
    "header-no-json": told(b"{'x': 1}", "not valid JSON"),
    "header-a-list": told(b"[]", "an object is expected"),
    "header-begins-with-blanks": told(b"  {}", "an object is expected"),
    "header-not-utf-8": told(b'{"\xff\xfe": 1}', "not valid JSON"),
    "header-utf-16": told('{"x": 1}'.encode("utf-16"), "not valid JSON"),
    "header-deep": told(b'{"x":' + b"[" * 100_000, "not valid JSON"),
    "header-of-lists": told(b'{"x":[' + b"[]," * 700_000 + b"[]]}", "lists and objects"),
    "header-nan": told(b'{"x": NaN}', "NaN"),
    "header-long-number": told(b'{"x": ' + b"9" * 5000 + b"}", "not valid JSON"),
    "header-same-key-twice": told(TWICE, "twice"),
    "header-half-a-character": told(b'{"\\ud800": 1}', "not valid JSON"),
    "metadata-no-texts": told({"__metadata__": {"a": {"b": 1}}, "x": ONE}, "__metadata__"),
    "name-with-control-character": told({"x\x1b[2J": ONE}, "no name"),
    "name-very-long": told({"x" * 10_000: ONE}, "no name"),
    "tensors-overlap": told(PAIR, "begins at 4, not at 8", 12),
    "tensors-leave-a-gap": told(GAP, "begins at 9, not at 8", 17),
    "tensors-begin-late": one("begins at 8, not at 0", 16, data_offsets=[8, 16]),
    "shape-negative": one("no valid shape", shape=[-2, -4]),
    "shape-huge": one("has shape", shape=[1 << 49] * 8),
    "shape-overflows-64-bits": one("has shape", shape=[1 << 32, 1 << 32]),
    "shape-a-fraction": one("no valid shape", shape=[8.0]),
    "shape-a-flag": one("no valid shape", shape=[True, 8]),
    "shape-a-text": one("no valid shape", shape="8"),
    "shape-of-many-dimensions": one("no valid shape", shape=[1] * 1000),
    "shape-smaller-than-data": one("but 8 bytes", shape=[4]),
    "offsets-beyond-file": one("no valid shape", data_offsets=[0, 1 << 62]),
    "offsets-backwards": one("bytes", data_offsets=[8, 0]),
    "offsets-three": one("no valid shape", data_offsets=[0, 4, 8]),
    "dtype-object": one("unknown type", dtype="O"),
    "dtype-a-list": one("unknown type", dtype=["U8"]),
    "entry-a-number": told({"x": 5}, "unknown type"),
    "weights-of-bytes": typed("I8", 128),
    "weights-of-words": typed("I32", 32),
    "weights-of-8-bits": typed("F8_E4M3", 128),
    "experts-that-are-not-there": rewritten(
        "says 65536 experts, but the last of the tensors is 1",
        lambda told: {
            name.replace("0.mlp.up_proj", "0.mlp.experts.1.up_proj"): entry
            for name, entry in told.items()
        },
        num_local_experts=1 << 16,
    ),
    "scales-beside-weights": renamed("model.layers.0.input_layernorm.weight", f"{QUERY}_scale"),
    "scales-of-bitsandbytes": renamed(
        "model.layers.0.input_layernorm.weight", "model.layers.0.self_attn.q_proj.SCB"
    ),
    "no-tensors": invalid(
        lambda f: (f / WEIGHTS).write_bytes(good.safetensors(b"{}")), "folder", "no weights"
    ),
    "tensor-in-two-shards": invalid(in_two_shards, "folder", "in two files"),
    "index-names-lost-tensor": invalid(index_lies, "model.safetensors.index.json", "lost"),
}
