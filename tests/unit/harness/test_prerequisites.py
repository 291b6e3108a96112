"""What the harness asks of a machine before it builds Kubernetes."""

import pytest

from cluster import prerequisites
from cluster.commands import ClusterError


@pytest.fixture(autouse=True)
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a machine with all packages, as root."""
    monkeypatch.setattr(prerequisites.os, "geteuid", lambda: 0)
    monkeypatch.setattr(prerequisites, "missing_packages", lambda *_: [])


@pytest.mark.parametrize("found", ["go1.19", "go1.25.4", "devel"])
def test_an_older_go_is_refused(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setattr(prerequisites, "run", lambda *_, **__: f"{found}\n")
    with pytest.raises(ClusterError, match=rf"Go 1\.26 or later .* \(found: {found}\)"):
        prerequisites.ensure()


@pytest.mark.parametrize("found", ["go1.26.0", "go1.26rc1", "go1.30.2", "go2.0"])
def test_a_newer_go_is_taken(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setattr(prerequisites, "run", lambda *_, **__: f"{found}\n")
    prerequisites.ensure()


def test_no_go_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ClusterError, match=r"(?s)Go 1\.26 or later.*go: no such program"):
        prerequisites.ensure()


def test_the_module_asks_for_that_version() -> None:
    major, minor = prerequisites.GO_VERSION
    module = (prerequisites.GO_MODULE / "go.mod").read_text()
    assert f"\ngo {major}.{minor}" in module


def test_building_needs_no_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    prerequisites.ensure_builder()
