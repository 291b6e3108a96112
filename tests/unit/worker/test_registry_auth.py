"""Which host gets what of a pull secret."""

import base64
import json
from pathlib import Path

import pytest
from httpx2 import Request, Response

from qmodel.worker.errors import AccessDenied, SecretMissing, SourceUnavailable
from qmodel.worker.sources.registry import Reference
from qmodel.worker.sources.registry_auth import RegistryAuth, login, same_domain

SECRET = base64.b64encode(b"reader:secret").decode()
BLOB = "https://registry.example.com/v2/a/blobs/x"


def asked(realm: str, *, secret: str | None = SECRET, url: str = BLOB) -> Request | None:
    """Return what is asked for after a Bearer challenge, if anything."""
    flow = RegistryAuth("https://registry.example.com", "a", secret).sync_auth_flow(
        Request("GET", BLOB)
    )
    next(flow)
    challenge = f'Bearer realm="{realm}",service="r",scope="repository:*:delete"'
    refused = Response(401, headers={"WWW-Authenticate": challenge}, request=Request("GET", url))
    try:
        return flow.send(refused)
    except StopIteration:
        return None


@pytest.mark.parametrize(
    ("host", "registry", "same"),
    [
        ("ghcr.io", "ghcr.io", True),
        ("auth.docker.io", "registry-1.docker.io", True),
        ("gitlab.com", "registry.gitlab.com", True),
        ("auth.example.com", "registry.example.com", True),
        ("evil.com", "registry.example.com", False),
        ("evil-example.com", "registry.example.com", False),
        ("example.com.evil.com", "registry.example.com", False),
        ("evil.io", "ghcr.io", False),
        ("10.0.0.6", "10.0.0.5", False),
        ("1.10.0.0.5", "10.0.0.5", False),
    ],
)
def test_what_is_of_a_registrys_domain(host: str, registry: str, *, same: bool) -> None:
    assert same_domain(host, registry) is same


def test_a_token_is_asked_for_with_least_scope_and_the_secret() -> None:
    request = asked("https://auth.example.com/token?a=b")
    assert request is not None
    assert dict(request.url.params) == {"a": "b", "scope": "repository:a:pull", "service": "r"}
    assert request.headers["Authorization"] == f"Basic {SECRET}"


def test_an_anonymous_reader_sends_no_secret_anywhere() -> None:
    request = asked("https://tokens.elsewhere.org/token", secret=None)
    assert request is not None
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    ("realm", "told"),
    [
        ("https://tokens.elsewhere.org/token", "not of its domain"),
        ("http://auth.example.com/token", "not https"),
        ("file:///etc/passwd", "not https"),
        ("", "not https"),
    ],
)
def test_the_secret_goes_nowhere_else(realm: str, told: str) -> None:
    with pytest.raises(AccessDenied, match=told):
        asked(realm)


def test_a_challenge_of_another_host_is_not_answered() -> None:
    assert asked("https://auth.example.com/token", url="https://cdn.example.com/x") is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(401), AccessDenied),
        (Response(500), SourceUnavailable),
        (Response(200, text="no JSON"), SourceUnavailable),
        (Response(200, json={"token": "a\r\nX-Evil: 1"}), SourceUnavailable),
        (Response(200, json=[]), SourceUnavailable),
    ],
)
def test_what_a_token_service_answers(answer: Response, error: type[Exception]) -> None:
    auth = RegistryAuth("https://registry.example.com", "a", None)
    flow = auth.sync_auth_flow(Request("GET", BLOB))
    next(flow)
    challenge = {"WWW-Authenticate": 'Bearer realm="https://registry.example.com/token"'}
    flow.send(Response(401, headers=challenge, request=Request("GET", BLOB)))
    with pytest.raises(error):
        flow.send(answer)


SECRETS = {
    "https://index.docker.io/v1/": {"auth": SECRET},
    "ghcr.io": {"username": "reader", "password": "secret"},
    "ghcr.io/other": {"auth": base64.b64encode(b"other:secret").decode()},
    "https://quay.io/v2/": {"auth": SECRET},
    "empty.io": {"auth": ""},
    "helped.io": {},
    "broken.io": {"auth": "!!"},
}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("docker.io/ai/smollm2", "reader:secret"),
        ("ghcr.io/a/b", "reader:secret"),
        ("ghcr.io/other/b", "other:secret"),
        ("ghcr.io/others/b", "reader:secret"),
        ("quay.io/a", "reader:secret"),
        ("empty.io/a", None),
        ("helped.io/a", None),
        ("broken.io/a", None),
        ("elsewhere.io/a", None),
    ],
)
def test_what_a_pull_secret_holds(name: str, found: str | None, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": SECRETS, "credHelpers": {"helped.io": "evil"}}))
    if found is None:
        with pytest.raises(AccessDenied, match=f"no user and password for {name}"):
            login(file, name, "the secret")
    else:
        assert base64.b64decode(login(file, name, "the secret") or "") == found.encode()


def test_a_pull_secret_that_is_not_there_may_come_yet(tmp_path: Path) -> None:
    with pytest.raises(SecretMissing, match=r"the secret .* is not there") as raised:
        login(tmp_path / "config.json", "a.io/b", "the secret")
    assert raised.value.retry_after


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"auths": []}', '{"auths": {"a.io": []}}'])
def test_a_pull_secret_of_another_form(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(AccessDenied, match="no user and password"):
        login(tmp_path / "config.json", "a.io/b", "the secret")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("ghcr.io/a/b", Reference("ghcr.io", "a/b", "latest")),
        ("localhost:5000/a:1.0", Reference("localhost:5000", "a", "1.0")),
        (f"r.io/a:1@sha256:{'0' * 64}", Reference("r.io", "a", f"sha256:{'0' * 64}")),
    ],
)
def test_references(text: str, parsed: Reference) -> None:
    assert Reference.parse(text) == parsed


def test_the_api_of_docker_hub_has_another_name() -> None:
    assert Reference.parse("docker.io/ai/smollm2").api == "registry-1.docker.io"
