from pathlib import Path

from qmodel.worker.manifest import write_manifest
from qmodel.worker.store import base_store, link, make_room


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
    for source in ("current", "former", "former.partial", "current.partial"):
        (base_store(tmp_path / "new") / source).mkdir(parents=True)
        (tmp_path / "sources" / source).mkdir()
    for lock in (".current.lock", ".former.lock"):
        (tmp_path / "sources" / lock).touch()
    make_room(tmp_path, ["serving", "new"], "current")
    assert names(tmp_path) == {
        "serving", "new", "sources", "lost+found", "new.partial", ".base"
    }  # fmt: skip
    assert names(tmp_path / ".base") == {"current", "current.partial"}
    assert names(tmp_path / "sources") == {"current", "current.partial", ".current.lock"}


def test_room_on_an_empty_volume(tmp_path: Path) -> None:
    make_room(tmp_path / "missing", [], "current")


def test_a_linked_file_takes_no_second_copy(tmp_path: Path) -> None:
    model = artifact(tmp_path, "source") / "model.gguf"
    link(model, tmp_path / "target")
    assert (tmp_path / "target").samefile(model)
