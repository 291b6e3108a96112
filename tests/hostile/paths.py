"""Names and links that lead out of the model's folder."""

import json
from pathlib import Path

from hostile.trick import Build, Trick, invalid

INDEX = "model.safetensors.index.json"


def indexed(shard: object) -> Trick:
    """Return a model whose index names that shard."""

    def build(folder: Path) -> None:
        (folder / INDEX).write_text(json.dumps({"weight_map": {"a": shard}}))

    return invalid(build, INDEX, "no file beside it")


def linked(name: str, target: str) -> Build:
    """Return the making of a symbolic link."""

    def build(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return build


def linked_folder(folder: Path) -> None:
    """Link to a file in a folder below, which is itself a link out of it."""
    (folder / "inner").symlink_to("/etc")
    linked("tokenizer.json", "inner/hostname")(folder)


def named(name: str | bytes) -> Build:
    """Return the making of an empty file with a strange name."""

    def build(folder: Path) -> None:
        path = bytes(folder) + b"/" + (name if isinstance(name, bytes) else name.encode())
        Path(path.decode(errors="surrogateescape")).touch()

    return build


TRICKS = {
    "index-climbs": indexed("../../../etc/model.safetensors"),
    "index-climbs-late": indexed("model/../../x.safetensors"),
    "index-absolute": indexed("/etc/model.safetensors"),
    "index-below": indexed("folder/model.safetensors"),
    "index-windows-drive": indexed("C:\\Windows\\x.safetensors"),
    "index-windows-climbs": indexed("..\\..\\x.safetensors"),
    "index-windows-device": indexed("NUL:x.safetensors"),
    "index-nul": indexed("model.safetensors\0.safetensors"),
    "index-fullwidth-dots": indexed("\uff0e\uff0e\uff0fx.safetensors"),
    "index-slash-look-alike": indexed("..\u2215x.safetensors"),
    "index-right-to-left": indexed("model\u202esrosnetefas.safetensors"),
    "index-home": indexed("~/x.safetensors"),
    "index-address": indexed("https://evil.example/x.safetensors"),
    "index-option": indexed("--config=x.safetensors"),
    "index-pickle": indexed("pytorch_model.bin"),
    "index-list": indexed(["model.safetensors"]),
    "link-absolute": invalid(
        linked("model.safetensors", "/etc/passwd"), "model.safetensors", "link"
    ),
    "link-climbs": invalid(linked("tokenizer.json", "../../x"), "tokenizer.json", "symbolic link"),
    "link-to-device": invalid(linked("vocab.txt", "/dev/zero"), "vocab.txt", "symbolic link"),
    "link-through-folder": invalid(linked_folder, "inner", "symbolic link"),
    "link-to-itself": invalid(linked("vocab.txt", "vocab.txt"), "vocab.txt", "symbolic link"),
    "link-to-nowhere": invalid(linked("vocab.txt", "gone.txt"), "vocab.txt", "symbolic link"),
    "name-with-line-break": invalid(named("a\nmodel.safetensors"), "a\\nmodel", "not a name"),
    "name-right-to-left": invalid(named("x\u202enosj.exe"), "u202e", "not a name"),
    "name-windows": invalid(named("..\\..\\x.json"), "x.json", "not a name"),
    "name-not-utf-8": invalid(named(b"\xff\xfe.json"), "udcff", "not a name"),
}
