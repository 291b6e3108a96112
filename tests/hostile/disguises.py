"""Pickles and archives under any name."""

import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile
import zlib
from pathlib import Path

from hostile import good
from hostile.trick import Trick, invalid, only, put, unsafe


class Payload:
    """Ends the process of whoever unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a hostile model was run')",)


PICKLE = pickle.dumps(Payload())
OLD_PICKLE = pickle.dumps(Payload(), protocol=0)
FIRST_PICKLE = pickle.dumps(Payload(), protocol=1)
INSTANCE = b"(S'echo run'\nios\nsystem\n."
LEGACY_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03." + PICKLE
HDF5 = b"\x89HDF\r\n\x1a\n" + b"\0" * 64 + b"lambda"
SEVEN_ZIP = b"7z\xbc\xaf'\x1c\0\x04" + b"\0" * 32
ELF = b"\x7fELF\x02\x01\x01" + b"\0" * 64


def numpy_objects() -> bytes:
    """Return a numpy array of one pickled object."""
    kind = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    padded = kind + b" " * (-(len(kind) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + len(padded).to_bytes(2, "little") + padded + PICKLE


def zipped(**members: bytes) -> bytes:
    """Return a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return out.getvalue()


def tarred(name: str) -> bytes:
    """Return a tar archive with one member of that name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(PICKLE)
        archive.addfile(entry, io.BytesIO(PICKLE))
    return out.getvalue()


TORCH_ZIP = zipped(archive__data_pkl=PICKLE, archive__version=b"3")
KERAS = zipped(config_json=b'{"class_name": "Lambda"}', model_weights=PICKLE)
WEIGHTS = "model.safetensors"
NO_LICENCE = "named as a licence and as weights"
ALONE = "stores its weights as pickle"


def second_shard(folder: Path) -> None:
    """Leave the first shard as it is and make the second a pickle."""
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    weight_map = dict.fromkeys(good.header(folder), first) | {"late": second}
    weight_map.pop("__metadata__")
    (folder / WEIGHTS).rename(folder / first)
    (folder / second).write_bytes(PICKLE)
    index = json.dumps({"weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_text(index)


def appended(folder: Path) -> None:
    """Hide an archive behind the weights: readers of zip begin at the end of a file."""
    with (folder / WEIGHTS).open("ab") as file:
        file.write(TORCH_ZIP)


def alone(name: str, content: bytes) -> Trick:
    """Return a model whose only weights are in a file of that name."""
    return unsafe(only(name, content), name, ALONE)


def disguised(name: str, content: bytes, told: str) -> Trick:
    """Return a model one of whose files is something else."""
    return unsafe(put(name, content), name, told)


def no_model(content: bytes) -> Trick:
    """Return a model whose tokenizer.model is something else."""
    name = "tokenizer.model"
    return invalid(put(name, content), name, "sentencepiece model")


TRICKS = {
    "pickle-bin": alone("pytorch_model.bin", TORCH_ZIP),
    "pickle-pt": alone("model.pt", TORCH_ZIP),
    "pickle-pth": alone("consolidated.00.pth", LEGACY_TORCH),
    "pickle-ckpt": alone("model.ckpt", PICKLE),
    "pickle-pkl": alone("model.pkl", PICKLE),
    "pickle-joblib": alone("model.joblib", zlib.compress(PICKLE)),
    "pickle-dill": alone("model.dill", PICKLE),
    "pickle-npy": alone("weights.npy", numpy_objects()),
    "pickle-npz": alone("weights.npz", zipped(a_npy=numpy_objects())),
    "keras-h5": alone("tf_model.h5", HDF5),
    "keras-lambda": alone("model.keras", KERAS),
    "archive-tar": alone("model.tar", tarred("../../etc/cron.d/x")),
    "archive-7z": alone("model.7z", SEVEN_ZIP),
    "archive-zip": alone("model.zip", zipped(model_pkl=PICKLE)),
    "archive-nemo": alone("model.nemo", tarred("/etc/passwd")),
    "safetensors-is-pickle": disguised(WEIGHTS, PICKLE, "is a pickle"),
    "safetensors-is-old-pickle": disguised(WEIGHTS, OLD_PICKLE, "is a pickle"),
    "safetensors-is-torch-zip": disguised(WEIGHTS, TORCH_ZIP, "is a zip archive"),
    "safetensors-is-legacy-torch": disguised(WEIGHTS, LEGACY_TORCH, "is a pickle"),
    "safetensors-is-numpy": disguised(WEIGHTS, numpy_objects(), "is a numpy array"),
    "safetensors-is-hdf5": disguised(WEIGHTS, HDF5, "is an HDF5 file"),
    "safetensors-is-gzip": disguised(WEIGHTS, gzip.compress(PICKLE, mtime=0), "is a gzip archive"),
    "safetensors-is-tar": disguised(WEIGHTS, tarred("model"), "is a tar archive"),
    "safetensors-is-7z": disguised(WEIGHTS, SEVEN_ZIP, "is a 7z archive"),
    "safetensors-is-elf": disguised(WEIGHTS, ELF, "is a program"),
    "second-shard-is-pickle": unsafe(second_shard, "model-00002-of-00002", "is a pickle"),
    "config-is-pickle": disguised("config.json", PICKLE, "is a pickle"),
    "config-is-old-pickle": disguised("config.json", OLD_PICKLE, "is a pickle"),
    "tokenizer-is-pickle": disguised("tokenizer.json", PICKLE, "is a pickle"),
    "tokenizer-is-zip": disguised("tokenizer.model", TORCH_ZIP, "is a zip archive"),
    "sentencepiece-is-pickle": disguised("spiece.model", PICKLE, "is a pickle"),
    "vocabulary-is-joblib": disguised("vocab.txt", zlib.compress(PICKLE), "compressed by zlib"),
    "licence-is-program": disguised("LICENSE", ELF, "is a program"),
    "licence-is-gguf": disguised("LICENSE.gguf", good.gguf(), NO_LICENCE),
    "licence-is-safetensors": disguised("LICENSE.safetensors", good.safetensors({}), NO_LICENCE),
    "licence-is-bin": disguised("LICENSE.bin", b"x", NO_LICENCE),
    "notice-is-gguf": disguised("NOTICE-x.gguf", good.gguf(), NO_LICENCE),
    "readme-is-script": disguised("README.md", b"#!/bin/sh\nrm -rf /\n", "is a script"),
    "template-is-tar": disguised("chat_template.jinja", tarred("x"), "is a tar archive"),
    "gguf-is-pickle": unsafe(only("m.gguf", PICKLE), "m.gguf", "is a pickle", "None"),
    "gguf-is-zip": unsafe(only("m.gguf", TORCH_ZIP), "m.gguf", "is a zip archive", "None"),
    "tokenizer-is-pickle-of-protocol-1": disguised("tokenizer.model", FIRST_PICKLE, "is a pickle"),
    "tokenizer-says-protocol-1": disguised(
        "tokenizer.model", b"\x80\x01" + FIRST_PICKLE, "is a pickle"
    ),
    "tokenizer-begins-with-nothing": disguised("tokenizer.model", b"N0" + PICKLE, "is a pickle"),
    "tokenizer-is-pickle-without-end": disguised(
        "tokenizer.model", OLD_PICKLE.removesuffix(b"."), "is a pickle"
    ),
    "vocabulary-is-pickle-as-text": disguised("vocab.txt", INSTANCE, "is a pickle"),
    "readme-is-pickle-as-text": disguised("README.md", INSTANCE, "is a pickle"),
    "vocabulary-is-json-of-a-pickle": disguised("vocab.json", FIRST_PICKLE, "is a pickle"),
    **{
        f"vocabulary-is-zlib-{level}": invalid(
            put("vocab.txt", zlib.compress(PICKLE, level)), "vocab.txt", "binary data"
        )
        for level in (0, 1, 3, 9)
    },
    "tokenizer-is-zlib": no_model(zlib.compress(PICKLE, 9)),
    "tokenizer-is-lzma": no_model(lzma.compress(PICKLE, format=lzma.FORMAT_ALONE)),
    "tokenizer-is-program": no_model(b"MZ\0\0" + bytes(60)),
    "tokenizer-is-universal-program": no_model(b"\xca\xfe\xba\xbe\0\0\0\2" + bytes(60)),
    "tokenizer-is-java": no_model(b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(60)),
    "tokenizer-is-cab": no_model(b"MSCF\0\0\0\0" + bytes(60)),
    "tokenizer-begins-well": no_model(good.PIECES + PICKLE),
    "tokenizer-is-cut": no_model(good.PIECES[:-1]),
    "tokens-then-something-else": invalid(
        put("tokenizer.model", b"IQ== 0\n" + PICKLE), "tokenizer.model", "binary data"
    ),
    "vocabulary-is-no-json": invalid(put("vocab.json", b"a b"), "vocab.json", "JSON is expected"),
    "tokenizer-is-no-json": invalid(
        put("tokenizer.json", b"hello"), "tokenizer.json", "JSON is expected"
    ),
    "merges-are-not-utf-8": invalid(put("merges.txt", b"a \xe9\n"), "merges.txt", "no UTF-8"),
    "readme-is-binary": invalid(put("README.md", b"# a\n\0\1\2"), "README.md", "binary data"),
    "merges-are-binary": invalid(put("merges.txt", b"a b\n\0\1\2"), "merges.txt", "binary data"),
    "weights-are-a-pointer": invalid(
        put(WEIGHTS, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        WEIGHTS,
        "git lfs pull",
    ),
    "weights-are-a-web-page": invalid(put(WEIGHTS, b"<!DOCTYPE html><html>"), WEIGHTS, "web page"),
    "two-formats-in-one": invalid(appended, WEIGHTS, "truncated or damaged"),
}
