"""Every hostile model is refused, by its own trick, with its file named."""

import re
from pathlib import Path

import pytest

from hostile import good
from hostile.honest import HONEST
from hostile.make import TRICKS, make
from hostile.trick import only
from qmodel.api.methods import Method
from qmodel.worker.errors import StepError
from qmodel.worker.inspect import inspect
from qmodel.worker.inspect.fetched import check_fetched
from qmodel.worker.inspect.select import select
from qmodel.worker.report import MAX_REPORT_BYTES
from qmodel.worker.sources.folder import Folder
from qmodel.worker.task import FolderSource


def looked(folder: Path, method: Method) -> None:
    """Look at a model as `inspect` does, and then at its files as `fetch` does."""
    source = Folder(FolderSource(path=str(folder)))
    inspect(source, method)
    check_fetched(folder, select(source).companions)


def test_there_are_many_and_each_has_its_own_name() -> None:
    tables = (
        "disguises",
        "code",
        "paths",
        "headers",
        "gguf_headers",
        "configs",
        "chats",
        "tokenizers",
    )
    modules = [__import__(f"hostile.{name}", fromlist=["TRICKS"]) for name in tables]
    assert len(TRICKS) == sum(len(module.TRICKS) for module in modules) >= 60


@pytest.mark.parametrize("method", [Method.GGUF, Method.NONE, Method.AWQ])
def test_the_good_model_passes(tmp_path: Path, method: Method) -> None:
    found = inspect(Folder(FolderSource(path=str(good.write(tmp_path)))), method)
    assert (found.linear_widths, found.chat_template) == ([64, 128], True)


def test_the_good_gguf_passes(tmp_path: Path) -> None:
    good.write(tmp_path)
    only("m.gguf", good.gguf())(tmp_path)
    found = inspect(Folder(FolderSource(path=str(tmp_path))), Method.NONE)
    assert (found.architecture, found.layers, found.chat_template) == ("llama", 1, True)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_model_passes(tmp_path: Path, name: str) -> None:
    HONEST[name](good.write(tmp_path))
    looked(tmp_path, Method.NONE)


@pytest.mark.parametrize("name", TRICKS)
def test_a_hostile_model_is_refused(tmp_path: Path, name: str) -> None:
    trick = make(name, tmp_path / "folder")
    with pytest.raises(StepError) as refused:
        looked(tmp_path / "folder" / name, Method(trick.method))
    message = str(refused.value)
    assert refused.value.reason == trick.reason, message
    assert re.search(trick.told, message) or trick.told in message, message
    assert trick.file in message, message
    assert len(message.encode()) < MAX_REPORT_BYTES // 2
