"""What is fetched is looked at before it is used, and is the model that was inspected."""

import json
from io import StringIO
from pathlib import Path

import pytest
from sparse_models import folder, write_model

from qmodel.api.methods import Method
from qmodel.worker import fetch
from qmodel.worker.errors import UnsafeModel
from qmodel.worker.inspect import document, inspect
from qmodel.worker.inspect.fetched import check_fetched
from qmodel.worker.progress import Progress
from qmodel.worker.store import source_gguf
from qmodel.worker.task import FetchTask, FolderSource


def test_a_tokenizer_that_never_ends_is_refused_before_the_weights(tmp_path: Path) -> None:
    claim = write_model(tmp_path / "claim")
    pattern = {"type": "Split", "pattern": {"Regex": "(a+)+$"}}
    (claim / "tokenizer.json").write_text(json.dumps({"pre_tokenizer": pattern}))
    found = inspect(folder(claim), Method.GGUF)
    task = FetchTask(
        source=FolderSource(path=str(claim)),
        source_revision=found.source_revision,
        directory=str(tmp_path / "s"),
    )
    with pytest.raises(UnsafeModel, match="can match without end"):
        fetch.run(task, Progress("fetch", StringIO()))
    assert not list(tmp_path.glob("s*/model.safetensors"))


def test_more_merges_than_lists_that_are_read_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "_MAX_CONTAINERS", 3_000)
    write_model(tmp_path)
    vocab = {f"token {number}": number % 128 for number in range(500)}
    merges = [[f"{number}", "x"] for number in range(4_000)]
    model = {"type": "BPE", "vocab": vocab, "merges": merges}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}, indent=1))
    check_fetched(tmp_path, ["tokenizer.json"])


def test_a_gguf_beside_safetensors_is_not_the_model(tmp_path: Path) -> None:
    (tmp_path / "LICENSE.gguf").touch()
    assert source_gguf(tmp_path) == tmp_path / "LICENSE.gguf"
    (tmp_path / "model.safetensors").touch()
    assert source_gguf(tmp_path) is None
