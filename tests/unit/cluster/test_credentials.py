"""What a pod is given to speak to its cluster with."""

import sys
from pathlib import Path

import pytest

from qmodel.cluster import credentials
from qmodel.cluster.credentials import CredentialsError, ServiceAccount, load


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "token").write_text("first\n")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return tmp_path


@pytest.mark.parametrize(
    ("host", "server"),
    [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")],
)
def test_the_address_is_what_every_pod_is_told(
    mounted: Path, monkeypatch: pytest.MonkeyPatch, host: str, server: str
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    assert ServiceAccount(mounted).server == server


def test_an_address_that_is_missing_is_named(
    mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_PORT")
    with pytest.raises(CredentialsError, match="KUBERNETES_SERVICE_PORT"):
        _ = ServiceAccount(mounted).server


async def test_a_token_is_read_again_because_it_rotates(
    mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ServiceAccount(mounted)
    assert await account.headers() == {"Authorization": "Bearer first"}
    (mounted / "token").write_text("second")
    assert await account.headers() == {"Authorization": "Bearer first"}
    monkeypatch.setattr(credentials, "TOKEN_SECONDS", 0.0)
    assert await account.headers() == {"Authorization": "Bearer second"}


async def test_without_service_account_a_kubeconfig_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\n"
        "clusters: [{name: a, cluster: {server: 'https://127.0.0.1:6443/'}}]\n"
        "users: [{name: a, user: {token: secret}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(config))
    found = await load()
    assert found.server == "https://127.0.0.1:6443"
    assert await found.headers() == {"Authorization": "Bearer secret"}


async def test_a_kubeconfig_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(CredentialsError):
        await load()


async def test_the_image_says_what_it_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no official client: outside of a pod it cannot run."""
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    for name in [name for name in sys.modules if name.startswith("kubernetes.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "qmodel.cluster.kubeconfig", raising=False)
    with pytest.raises(CredentialsError, match="no service account is mounted"):
        await load()
