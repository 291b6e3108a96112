"""The cluster's CustomResourceDefinition is the one of this work tree; no operator interferes."""

import os
from collections.abc import Iterator

import pytest

from bench import installed
from cluster import target


@pytest.fixture(scope="session", autouse=True)
def _definition() -> None:
    installed.define()


@pytest.fixture(scope="module", autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let an installed operator rest: it would write to the objects of the tests."""
    path = tmp_path_factory.mktemp("cluster") / "kubeconfig"
    path.write_text(target.kubeconfig())
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(path)
    with installed.paused():
        yield
    os.environ.pop("KUBECONFIG")
    if before is not None:
        os.environ["KUBECONFIG"] = before
