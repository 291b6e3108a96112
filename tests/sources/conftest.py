from pathlib import Path

import pytest
from steps import write_random_model

from cluster import binaries
from qmodel.worker import fetch


def pytest_sessionstart() -> None:
    """Build the servers where they are not cached; no test's time limit is for that."""
    binaries.registry()
    binaries.versitygw()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FIRST_WAIT_SECONDS", 0.01)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a model."""
    return write_random_model(tmp_path_factory.mktemp("model") / "smollm2")
