from pathlib import Path

import pytest
from steps import write_random_model

from qmodel.worker import fetch


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FIRST_WAIT_SECONDS", 0.01)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a model."""
    return write_random_model(tmp_path_factory.mktemp("model") / "smollm2")
