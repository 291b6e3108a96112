from pathlib import Path

from qmodel.worker.manifest import write_manifest
from qmodel.worker.store import base_store, link_model, make_room, model_parts


def artifact(volume: Path, revision: str) -> Path:
    folder = volume / revision
    folder.mkdir()
    (folder / "model.gguf").write_bytes(b"GGUF")
    write_manifest(folder, {})
    return folder


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_room_is_made_of_what_nothing_needs(tmp_path: Path) -> None:
    for revision in ("old", "serving", "new"):
        artifact(tmp_path, revision)
    for leftover in ("sources", "lost+found", "crashed.partial", "new.partial"):
        (tmp_path / leftover).mkdir()
    for source in ("current", "former"):
        (base_store(tmp_path / "new") / source).mkdir(parents=True)
    make_room(tmp_path / "new", ["serving"], "current")
    assert names(tmp_path) == {
        "serving", "new", "sources", "lost+found", "new.partial", ".base"
    }  # fmt: skip
    assert names(tmp_path / ".base") == {"current"}


def test_room_on_an_empty_volume(tmp_path: Path) -> None:
    make_room(tmp_path / "missing" / "new", [], "current")


def test_a_linked_model_takes_no_second_copy(tmp_path: Path) -> None:
    model = artifact(tmp_path, "source") / "model.gguf"
    target = tmp_path / "target"
    target.mkdir()
    assert link_model(model, target) == "model.gguf"
    assert (target / "model.gguf").samefile(model)


def test_a_split_model_is_linked_whole(tmp_path: Path) -> None:
    parts = [tmp_path / f"m-{number:05}-of-00002.gguf" for number in (1, 2)]
    for part in [*parts, tmp_path / "other-00001-of-00003.gguf"]:
        part.write_bytes(b"GGUF")
    assert model_parts(parts[0]) == parts
