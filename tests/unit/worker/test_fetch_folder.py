import os
from io import StringIO
from pathlib import Path

import pytest
from sparse_models import folder, write_model

from qmodel.api.methods import Method
from qmodel.worker import fetch
from qmodel.worker.errors import SourceChanged
from qmodel.worker.inspect import inspect
from qmodel.worker.manifest import complete
from qmodel.worker.progress import Progress
from qmodel.worker.report import Fetched
from qmodel.worker.task import FetchTask, FolderSource


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    path = write_model(tmp_path / "claim")
    (path / "pytorch_model.bin").write_bytes(b"pickle")
    return path


def bring(claim: Path, revision: str, directory: Path) -> Fetched:
    task = FetchTask(
        source=FolderSource(path=str(claim)), source_revision=revision, directory=str(directory)
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
