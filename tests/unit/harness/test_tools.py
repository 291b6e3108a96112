"""Whose kubectl and helm are used: nothing is compiled for a cluster that a person has."""

import os
from pathlib import Path

import pytest

from cluster import binaries, docker, local, target, tools
from cluster.commands import ClusterError


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the folder of all programs that are installed: none yet, of a person's cluster."""
    monkeypatch.setattr(local, "exists", lambda: False)
    monkeypatch.setattr(binaries, "kubernetes", lambda: pytest.fail("Kubernetes was compiled"))
    monkeypatch.setattr(binaries, "helm", lambda: Path("/cache/helm"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(folder: Path, name: str, says: str = "") -> None:
    """Put a program into a folder."""
    program = folder / name
    program.write_text(f"#!/bin/sh\necho {says}\n")
    program.chmod(0o755)


def test_a_persons_own_are_used(programs: Path) -> None:
    install(programs, "helm", f"{tools.HELM_MAJOR}.0.2")
    assert tools.helm() == programs / "helm"
    assert set(tools.search_path().split(os.pathsep)) == {str(programs)}


def test_a_helm_that_is_too_old_is_built(programs: Path) -> None:
    install(programs, "helm", "v3.19.0")
    install(programs, "go")
    assert tools.search_path() == f"/cache{os.pathsep}{programs}"


def test_a_helm_that_does_not_run_is_built(programs: Path) -> None:
    (programs / "helm").write_text("#!/bin/sh\nexit 1\n")
    (programs / "helm").chmod(0o755)
    install(programs, "go")
    assert tools.search_path() == f"/cache{os.pathsep}{programs}"


def test_without_helm_and_go_it_is_said_what_to_install(programs: Path) -> None:
    del programs  # it is empty
    with pytest.raises(ClusterError, match=r"helm 4 is needed: https://helm\.sh"):
        tools.helm()


def test_ours_come_first_for_the_cluster_of_this_machine(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(programs, "helm", f"{tools.HELM_MAJOR}.0.2")
    install(programs, "go")
    monkeypatch.setattr(local, "exists", lambda: True)
    monkeypatch.setattr(binaries, "kubernetes", lambda: Path("/cache/kubernetes"))
    path = f"/cache/kubernetes{os.pathsep}/cache{os.pathsep}{programs}"
    assert tools.search_path() == path


def test_kind_without_kubectl_is_told(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "answers", lambda: True)
    install(programs, "kind")
    with pytest.raises(ClusterError, match="kubectl"):
        target.up()
