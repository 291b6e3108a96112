"""Inspecting hostile, broken and odd folders; what is refused, and what the message names."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sparse_models import (
    LLAMA,
    folder,
    gguf_metadata,
    gguf_shapes,
    llama_shapes,
    safetensors_header,
    write_gguf,
    write_model,
    write_raw_safetensors,
    write_safetensors,
)

from qmodel.api.methods import Method
from qmodel.worker.errors import (
    SourceInvalid,
    SourceNotFound,
    StepError,
    UnsafeModel,
    UnsupportedModel,
)
from qmodel.worker.inspect import inspect

Prepare = Callable[[Path], object]


def config(**changes: Any) -> Prepare:
    return lambda path: (path / "config.json").write_text(json.dumps(LLAMA | changes))


def shapes(**changes: list[int]) -> Prepare:
    renamed = {name.replace("__", "."): shape for name, shape in changes.items()}
    return lambda path: write_safetensors(path / "model.safetensors", llama_shapes(LLAMA) | renamed)


def header(text: bytes, data_bytes: int = 0) -> Prepare:
    return lambda path: write_raw_safetensors(path / "model.safetensors", text, data_bytes)


def raw(name: str, content: bytes | str) -> Prepare:
    encoded = content.encode() if isinstance(content, str) else content
    return lambda path: (path / name).write_bytes(encoded)


def index(weight_map: object) -> Prepare:
    return raw("model.safetensors.index.json", json.dumps({"weight_map": weight_map}))


def renamed(old: str, new: str) -> Prepare:
    return lambda path: (path / old).rename(path / new)


def removed(name: str) -> Prepare:
    return lambda path: (path / name).unlink()


def linked(name: str, target: str) -> Prepare:
    def prepare(path: Path) -> None:
        (path / name).unlink(missing_ok=True)
        (path / name).symlink_to(target)

    return prepare


def one_tensor(**entry: Any) -> bytes:
    tensor = {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]} | entry
    return json.dumps({"x": tensor}).encode()


REFUSED: list[tuple[str, Prepare, type[StepError], str]] = [
    ("truncated weights", lambda p: os.truncate(p / "model.safetensors", 2000), SourceInvalid,
     "model.safetensors is truncated"),
    ("longer than announced", lambda p: os.truncate(p / "model.safetensors", 1 << 20),
     SourceInvalid, "truncated or damaged"),
    ("empty weights", raw("model.safetensors", b""), SourceInvalid, "0 bytes"),
    ("absurd header length", raw("model.safetensors", b"\xff" * 100), SourceInvalid,
     "announces a header of 18446744073709551615"),
    ("header beyond the bound", lambda p: write_raw_safetensors(
        p / "model.safetensors", b" " * 25_000_001, 0), SourceInvalid, "header of 25000001"),
    ("header is no JSON", header(b"{'x'}"), SourceInvalid, "not valid JSON"),
    ("header is a list", header(b"[]"), SourceInvalid, "an object is expected"),
    ("header nested absurdly", header(b"[" * 100_000), SourceInvalid, "not valid JSON"),
    ("unknown dtype", header(one_tensor(dtype="OBJECT"), 8), SourceInvalid, "unknown type"),
    ("negative shape", header(one_tensor(shape=[-2, -2]), 8), SourceInvalid, "no valid shape"),
    ("huge shape", header(one_tensor(shape=[1 << 49] * 8), 8), SourceInvalid, "has shape"),
    ("offsets overlap", header(json.dumps({
        name: {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]} for name in "ab"}).encode(), 8),
     SourceInvalid, "begins at 0, not at 8"),
    ("a hole", header(one_tensor(data_offsets=[8, 16]), 16), SourceInvalid, "begins at 8"),
    ("size contradicts shape", header(one_tensor(data_offsets=[0, 4]), 4), SourceInvalid,
     "4 bytes"),
    ("no tensors", header(b"{}"), SourceInvalid, "no weights"),
    ("config is a list", raw("config.json", "[]"), SourceInvalid, "config.json holds a list"),
    ("config is broken", raw("config.json", "{"), SourceInvalid, "config.json is not valid JSON"),
    ("no config", removed("config.json"), SourceInvalid, "no config.json"),
    ("no tokenizer", removed("tokenizer.json"), SourceInvalid, "no tokenizer"),
    ("hidden size", config(hidden_size=32), SourceInvalid,
     "hidden_size 32, but model.embed_tokens"),
    ("vocabulary", config(vocab_size=129), SourceInvalid, "vocab_size 129"),
    ("smaller vocabulary", shapes(model__embed_tokens__weight=[4096, 64]), SourceInvalid,
     "vocab_size 128, but model.embed_tokens.weight is 4096 x 64"),
    ("layers missing", config(num_hidden_layers=3), SourceInvalid, "num_hidden_layers 3"),
    ("layers too many", config(num_hidden_layers=1), SourceInvalid, "num_hidden_layers 1"),
    ("kv heads", config(num_key_value_heads=4), SourceInvalid, r"4 x 16, but model.layers.0"),
    ("head_dim", config(head_dim=64), SourceInvalid, "2 x 64"),
    ("one layer odd", shapes(model__layers__1__self_attn__k_proj__weight=[64, 64]), SourceInvalid,
     "model.layers.1.self_attn.k_proj.weight is 64 x 64"),
    ("absurd layers", config(num_hidden_layers=10**9), SourceInvalid, "num_hidden_layers"),
    ("absurd number", config(hidden_size=10**400), SourceInvalid, "hidden_size"),
    ("negative", config(vocab_size=-1), SourceInvalid, "vocab_size"),
    ("fraction", config(hidden_size=64.5), SourceInvalid, "64.5"),
    ("text", config(hidden_size="64"), SourceInvalid, "hidden_size"),
    ("a flag", config(num_hidden_layers=True), SourceInvalid, "num_hidden_layers"),
    ("no hidden size", config(hidden_size=None), SourceInvalid, "no hidden_size"),
    ("unknown architecture", config(architectures=["NoSuchForCausalLM"]), UnsupportedModel,
     "NoSuchForCausalLM"),
    ("an encoder", config(architectures=["BertModel"]), UnsupportedModel, "BertModel"),
    ("no architecture", config(architectures=None), UnsupportedModel, "architecture none"),
    ("odd architectures", config(architectures={"a": 1}), UnsupportedModel, "architecture none"),
    ("remote code", config(auto_map={"AutoModel": "m.M"}), UnsafeModel,
     r"config.json asks to run code .* auto_map.AutoModel is 'm.M'"),
    ("remote tokenizer", raw("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": ["t.T"]}}'),
     UnsafeModel, "tokenizer_config.json asks to run code"),
    ("quantized before", config(quantization_config={"quant_method": "gptq", "bits": 4}),
     UnsupportedModel, "quantized already: GPTQ, 4 bits; method GGUF"),
    ("pickle only", renamed("model.safetensors", "pytorch_model.bin"), UnsafeModel,
     "pytorch_model.bin"),
    ("an adapter", lambda p: [renamed("model.safetensors", "adapter_model.safetensors")(p),
                              raw("adapter_config.json", "{}")(p)], UnsupportedModel, "an adapter"),
    ("nothing", removed("model.safetensors"), SourceNotFound, "found config.json, tokenizer.json"),
    ("shard climbs", index({"a": "../../etc/passwd"}), SourceInvalid, "../../etc/passwd"),
    ("shard absolute", index({"a": "/etc/x.safetensors"}), SourceInvalid, "/etc/x"),
    ("shard missing", index({"a": "model-2.safetensors"}), SourceInvalid, "lacks 1 of 1 shards"),
    ("tensor not in its shard", index({"lost": "model.safetensors"}), SourceInvalid, "lost"),
    ("index is odd", index([1]), SourceInvalid, "no weight_map"),
    ("shards without index", renamed(
        "model.safetensors", "model-00001-of-00002.safetensors"), SourceInvalid, "1 of 2"),
    ("a link that leaves", linked("model.safetensors", "/etc/passwd"), SourceInvalid,
     "symbolic link that leaves"),
    ("a link up", linked("notes", "../other"), SourceInvalid, "notes"),
    ("a name with a line break", raw("a\nb", ""), SourceInvalid, "not a name"),
    ("a huge companion", lambda p: write_raw_safetensors(p / "README.md", b"", 1 << 29),
     SourceInvalid, "README.md"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "prepare", "error", "told"), REFUSED, ids=[r[0] for r in REFUSED])
def test_refused(
    tmp_path: Path, name: str, prepare: Prepare, error: type[StepError], told: str
) -> None:
    path = write_model(tmp_path / name)
    prepare(path)
    with pytest.raises(error, match=told) as refused:
        inspect(folder(path), Method.GGUF)
    assert len(str(refused.value)) < 1500


def test_a_tensor_in_two_shards(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    renamed("model.safetensors", "model-00001-of-00002.safetensors")(path)
    write_safetensors(path / "model-00002-of-00002.safetensors", llama_shapes(LLAMA))
    with pytest.raises(SourceInvalid, match="in two files"):
        inspect(folder(path), Method.GGUF)


@pytest.mark.parametrize(("named", "told"), [("qwen3", "qwen3"), (None, None), (7, None)])
def test_the_type_is_what_libraries_look_up(tmp_path: Path, named: object, told: object) -> None:
    path = write_model(tmp_path, LLAMA | {"model_type": named})
    assert inspect(folder(path), Method.GGUF).model_type == told


def test_a_sound_model(tmp_path: Path) -> None:
    path = write_model(tmp_path, LLAMA | {"model_type": "llama"})
    for other in ("pytorch_model.bin", "model.onnx", "consolidated.00.pth", "q4.gguf"):
        (path / other).write_bytes(b"duplicate")
    (path / "original").mkdir()
    (path / "chat_template.jinja").write_text("{{ messages }}")
    (path / "inner.json").symlink_to("config.json")
    found = inspect(folder(path), Method.GGUF)
    weights = 2 * (128 * 64 + 2 * 32 * 64)
    sizes = {item.name: item.stat().st_size for item in path.iterdir() if item.is_file()}
    chosen = ("model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja")
    assert found.model_dump(exclude={"source_revision", "source_digest"}) == {
        "source_bytes": sum(sizes[name] for name in chosen),
        "format": "safetensors",
        "architecture": "LlamaForCausalLM",
        "model_type": "llama",
        "parameters": weights // 2,
        "weight_bytes": weights,
        "hidden_size": 64,
        "layers": 2,
        "vocabulary_size": 128,
        "context_length": 256,
        "attention_heads": 4,
        "kv": {
            "full_layers": 2,
            "sliding_layers": 0,
            "window": 0,
            "recurrent_layers": 0,
            "kv_heads": 2,
            "key_head_dim": 16,
            "value_head_dim": 16,
            "sliding_kv_heads": None,
            "sliding_key_head_dim": None,
            "sliding_value_head_dim": None,
        },
        "linear_widths": [64],
        "experts": 0,
        "quantization": None,
        "chat_template": True,
    }
    assert found.source_revision.startswith(found.source_digest)
    assert inspect(folder(path), Method.GGUF) == found


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_the_digest_changes_with_the_content(tmp_path: Path, name: str) -> None:
    path = write_model(tmp_path)
    before = inspect(folder(path), Method.GGUF).source_revision
    stat = (path / name).stat()
    with (path / name).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b" ")
    os.utime(path / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert inspect(folder(path), Method.GGUF).source_revision != before


@pytest.mark.parametrize("length", [0x480, 0x5_0280, 0x9C78])
def test_a_header_whose_length_begins_as_a_pickle_does(tmp_path: Path, length: int) -> None:
    path = write_model(tmp_path, LLAMA)
    header, data_bytes = safetensors_header(llama_shapes(LLAMA))
    padded = json.dumps(header).encode().ljust(length)
    write_raw_safetensors(path / "model.safetensors", padded, data_bytes)
    assert inspect(folder(path), Method.GGUF).layers == 2


def test_one_large_header_is_read_whole(tmp_path: Path) -> None:
    extra = {f"model.norms.{number:06}.weight": [1] for number in range(5000)}
    path = write_model(tmp_path, shapes=llama_shapes(LLAMA) | extra)
    found, _ = safetensors_header(llama_shapes(LLAMA) | extra)
    assert len(json.dumps(found)) > 128 << 10
    assert inspect(folder(path), Method.GGUF).parameters == 128 * 64 + 2 * 32 * 64 + 5000


@pytest.mark.parametrize(
    ("path", "told"),
    [("nothing", "nothing at"), ("file.txt", "neither a folder nor"), ("empty", "found nothing")],
)
def test_a_path_without_a_model(tmp_path: Path, path: str, told: str) -> None:
    (tmp_path / "file.txt").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceNotFound, match=told):
        inspect(folder(tmp_path / path), Method.GGUF)


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        (Method.GGUF, "gguf", "use quantization.method None"),
        (Method.NONE, "ggufs", r"holds 12 GGUF files; set .*path to one of: 00.gguf, .* 2 more"),
        (Method.NONE, "split", "one part of a split GGUF"),
    ],
)
def test_method_and_format(tmp_path: Path, method: Method, path: str, told: str) -> None:
    write_model(tmp_path / "safetensors")
    for name in ("gguf", "ggufs", "split"):
        (tmp_path / name).mkdir()
    write_gguf(tmp_path / "gguf" / "q8.gguf", gguf_metadata(), gguf_shapes())
    for number in range(12):
        write_gguf(tmp_path / "ggufs" / f"{number:02}.gguf", gguf_metadata(), gguf_shapes())
    (tmp_path / "split" / "m-00001-of-00002.gguf").touch()
    with pytest.raises(UnsupportedModel, match=told):
        inspect(folder(tmp_path / path), method)
