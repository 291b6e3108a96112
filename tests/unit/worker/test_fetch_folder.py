import os
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from sparse_models import LLAMA, folder, write_model

from qmodel.api.methods import Method
from qmodel.worker import fetch
from qmodel.worker.errors import DiskFull, SourceChanged
from qmodel.worker.inspect import inspect
from qmodel.worker.manifest import complete, write_manifest
from qmodel.worker.progress import Progress
from qmodel.worker.report import Fetched
from qmodel.worker.sources import SourceFile
from qmodel.worker.task import FetchTask, FolderSource


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    path = write_model(tmp_path / "claim")
    (path / "pytorch_model.bin").write_bytes(b"pickle")
    return path


def bring(claim: Path, revision: str, directory: Path, *keep: str) -> Fetched:
    task = FetchTask(
        source=FolderSource(path=str(claim)),
        source_revision=revision,
        directory=str(directory),
        keep_revisions=list(keep) or None,
    )
    return fetch.run(task, Progress("fetch", StringIO()))


def test_a_folder_is_copied(claim: Path, tmp_path: Path) -> None:
    found = inspect(folder(claim), Method.GGUF)
    target = tmp_path / "sources" / found.source_digest
    assert bring(claim, found.source_revision, target) == Fetched(bytes=found.source_bytes, files=3)
    assert complete(target)
    assert not (target / "pytorch_model.bin").exists()
    for name in ("model.safetensors", "config.json"):
        assert (target / name).read_bytes() == (claim / name).read_bytes()


def test_a_claim_is_not_needed_again(claim: Path, tmp_path: Path) -> None:
    found = inspect(folder(claim), Method.GGUF)
    first = bring(claim, found.source_revision, tmp_path / "s")
    assert bring(tmp_path / "gone", found.source_revision, tmp_path / "s") == first


def test_a_file_that_was_damaged_on_the_volume_is_brought_again(
    claim: Path, tmp_path: Path
) -> None:
    found = inspect(folder(claim), Method.GGUF)
    bring(claim, found.source_revision, tmp_path / "s")
    weights = (claim / "model.safetensors").read_bytes()
    (tmp_path / "s/model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    bring(claim, found.source_revision, tmp_path / "s")
    assert (tmp_path / "s/model.safetensors").read_bytes() == weights


def test_a_changed_folder_is_noticed(claim: Path, tmp_path: Path) -> None:
    found = inspect(folder(claim), Method.GGUF)
    os.utime(claim / "model.safetensors", ns=(1, 1))
    with pytest.raises(SourceChanged, match="changed since it was inspected") as changed:
        bring(claim, found.source_revision, tmp_path / "s")
    assert changed.value.retry_after
    assert not (tmp_path / "s").exists()


def test_a_folder_that_changes_while_it_is_copied(
    claim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = inspect(folder(claim), Method.GGUF)
    fill = fetch._fill

    def change(*arguments: object) -> object:
        filled = fill(*arguments)  # type: ignore[arg-type]
        os.utime(claim / "config.json", ns=(1, 1))
        return filled

    monkeypatch.setattr(fetch, "_fill", change)
    with pytest.raises(SourceChanged):
        bring(claim, found.source_revision, tmp_path / "s")
    assert not (tmp_path / "s").exists()


EIGHT_BILLION = {
    **LLAMA,
    "hidden_size": 8192,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 980_000,
}
VOLUME_BYTES = 47_300_000_000
"""As it is made for such a model in Q4_K_M."""


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a volume that holds a source, its conversion and the artifact that serves."""
    root = tmp_path / "volume"
    sizes = {"sources/old": 16_100_000_000, ".base/old": 16_100_000_000, "serving": 4_920_000_000}
    for name, size in sizes.items():
        (root / name).mkdir(parents=True)
        with (root / name / "model").open("wb") as file:
            file.truncate(size)
        write_manifest(root / name, {}, {"model": "0" * 64})

    def usage(_: Path) -> SimpleNamespace:
        used = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        return SimpleNamespace(free=VOLUME_BYTES - used)

    brought = fetch._Transfer.bring

    def bring(transfer: fetch._Transfer, file: SourceFile, target: Path) -> str:
        if not file.path.endswith(".safetensors"):
            return brought(transfer, file, target)
        with target.open("wb") as out:
            out.truncate(file.bytes)
        return "0" * 64

    monkeypatch.setattr("shutil.disk_usage", usage)
    monkeypatch.setattr(fetch._Transfer, "bring", bring)
    return root


def test_another_source_takes_the_room_of_the_one_before(tmp_path: Path, volume: Path) -> None:
    large = write_model(tmp_path / "large", EIGHT_BILLION)
    found = inspect(folder(large), Method.GGUF)
    assert found.source_bytes > 16_000_000_000
    target = volume / "sources" / found.source_digest
    bring(large, found.source_revision, target, "serving", "next")
    assert complete(target)
    assert complete(volume / "serving")
    assert not (volume / "sources/old").exists()
    assert not (volume / ".base/old").exists()


def test_nothing_goes_from_a_claim_that_others_may_use(tmp_path: Path, volume: Path) -> None:
    large = write_model(tmp_path / "large", EIGHT_BILLION)
    found = inspect(folder(large), Method.GGUF)
    with pytest.raises(DiskFull):
        bring(large, found.source_revision, volume / "sources" / found.source_digest)
    assert complete(volume / "sources/old")
