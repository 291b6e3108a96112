"""Inspect and fetch from a real registry, and from one that misbehaves."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from steps import WEIGHTS, bring, look, write_random_model, write_tiny_gguf

from hub.faults import Fault
from qmodel.api.methods import Method
from qmodel.worker.errors import (
    AccessDenied,
    ChecksumMismatch,
    EndpointRefused,
    SecretMissing,
    SourceInvalid,
    SourceNotFound,
    SourceUnavailable,
    StepError,
    UnsupportedModel,
)
from qmodel.worker.sources import open_source
from qmodel.worker.task import OCISource
from stores.proxy import Proxy, proxy
from stores.registry import (
    FILE_TYPE,
    PASSWORD,
    TITLE,
    USER,
    Registry,
    password_auth,
    registry,
)
from stores.tokens import BASIC, TokenService, token_service

NAME = "team/smollm2"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where all registries of this module keep their blobs."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def server(folder: Path, model: Path) -> Iterator[Registry]:
    with registry(folder) as running:
        running.push_folder(NAME, "v1", model)
        path = write_tiny_gguf(folder / "a.gguf")
        running.push("team/gguf", "latest", {"Q8/a.gguf": path, "b.gguf": path})
        yield running


@pytest.fixture(scope="module")
def guarded(server: Registry, folder: Path) -> Iterator[Registry]:
    """Return a registry over the same blobs that asks for a password."""
    del server  # it filled the folder
    with registry(folder, password_auth(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenService]:
    with token_service(tmp_path_factory.mktemp("tokens")) as running:
        yield running


@pytest.fixture(scope="module")
def by_token(server: Registry, folder: Path, tokens: TokenService) -> Iterator[Registry]:
    """Return a registry over the same blobs that asks for tokens."""
    del server  # it filled the folder
    with registry(folder, tokens.auth) as running:
        yield running


@pytest.fixture
def between(server: Registry) -> Iterator[Proxy]:
    with proxy(server.host) as running:
        yield running


@pytest.fixture
def elsewhere(server: Registry) -> Iterator[Proxy]:
    """Return where blobs may be redirected to: another port is another origin."""
    with proxy(server.host) as running:
        yield running


@pytest.fixture
def secret(tmp_path: Path, guarded: Registry, by_token: Registry) -> Path:
    hosts = [guarded.host, f"http://{by_token.host}/v1/"]
    return write_secret(tmp_path / "config.json", dict.fromkeys(hosts, f"{USER}:{PASSWORD}"))


def write_secret(path: Path, known: dict[str, str]) -> Path:
    entries = {
        host: {"auth": base64.b64encode(pair.encode()).decode()} for host, pair in known.items()
    }
    path.write_text(json.dumps({"auths": entries}))
    return path


def source(host: str, name: str = f"{NAME}:v1", **more: Any) -> OCISource:
    given = {"reference": f"{host}/{name}", "insecure": True, "allow_insecure": True}
    return OCISource.model_validate(given | more)


def test_inspecting_reads_headers_only(between: Proxy, model: Path) -> None:
    found = look(source(between.host))
    assert (found.format, found.layers) == ("safetensors", 2)
    assert sum(e.sent_bytes for e in between.log) < (model / WEIGHTS).stat().st_size / 10


def test_fetching_brings_what_the_tag_named_when_it_was_inspected(
    server: Registry, model: Path, tmp_path: Path
) -> None:
    first = server.push_folder("team/moving", "v1", model)
    artifact = source(server.host, "team/moving:v1")
    found = look(artifact)
    assert found.source_revision == first
    server.push_folder("team/moving", "v1", write_random_model(tmp_path / "other"))
    assert bring(artifact, found, tmp_path / "s").files == 3
    for path in model.iterdir():
        assert (tmp_path / "s" / path.name).read_bytes() == path.read_bytes()
    pinned = source(server.host, f"team/moving@{first}")
    assert look(pinned) == found
    assert look(artifact) != found


def test_one_gguf_layer(server: Registry, tmp_path: Path) -> None:
    artifact = source(server.host, "team/gguf")
    with pytest.raises(UnsupportedModel, match=r"spec.source.oci.file to one of: Q8/a.gguf"):
        look(artifact, Method.NONE)
    one = artifact.model_copy(update={"file": "Q8/a.gguf"})
    assert bring(one, look(one, Method.NONE), tmp_path / "s").files == 1
    assert (tmp_path / "s" / "a.gguf").exists()
    with pytest.raises(SourceNotFound, match=r"no file c.gguf"):
        look(artifact.model_copy(update={"file": "c.gguf"}), Method.NONE)


@pytest.mark.parametrize(
    "layer",
    [
        {"mediaType": "application/vnd.docker.ai.gguf.v3"},
        {
            "mediaType": "application/vnd.cncf.model.weight.v1.raw",
            "annotations": {"org.cncf.model.filepath": "model.gguf"},
        },
    ],
)
def test_other_layouts_with_raw_files(
    server: Registry, folder: Path, tmp_path: Path, layer: dict[str, Any]
) -> None:
    blob = server.push_blob("team/other", folder / "a.gguf")
    notice = server.push_blob("team/other", b"MIT")
    server.push_manifest("team/other", "v1", [blob | layer, notice])
    artifact = source(server.host, "team/other:v1")
    bring(artifact, look(artifact, Method.NONE), tmp_path / "s")
    assert (tmp_path / "s" / "model.gguf").exists()


def test_an_interrupted_body_continues(between: Proxy, model: Path, tmp_path: Path) -> None:
    artifact = source(between.host)
    found = look(artifact)
    between.log.clear()
    between.faults.add(Fault(kind="interrupt", path="blobs", after_bytes=2_200_000, times=5))
    bring(artifact, found, tmp_path / "s")
    assert len({each for each in between.ranges("blobs") if each != "bytes=0-"}) >= 1
    size = sum(path.stat().st_size for path in model.iterdir())
    assert sum(e.sent_bytes for e in between.log if "blobs" in e.path) < 3 * size / 2
    assert (tmp_path / "s" / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()


def test_a_damaged_layer_is_named_and_removed(between: Proxy, tmp_path: Path) -> None:
    artifact = source(between.host)
    found = look(artifact)
    between.faults.add(Fault(kind="corrupt", path="blobs"))
    with pytest.raises(ChecksumMismatch, match=r"sha256 .* was announced"):
        bring(artifact, found, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_damaged_manifest(between: Proxy, server: Registry) -> None:
    digest = look(source(server.host)).source_revision
    between.faults.add(Fault(kind="corrupt", path="manifests"))
    with pytest.raises(SourceInvalid, match="another manifest"):
        look(source(between.host, f"{NAME}@{digest}"))


def test_a_password_opens_a_private_repository(
    guarded: Registry, secret: Path, tmp_path: Path
) -> None:
    private = source(guarded.host, pull_secret=str(secret))
    assert bring(private, look(private), tmp_path / "s").files == 3


def test_a_token_opens_a_private_repository(
    by_token: Registry, tokens: TokenService, secret: Path, tmp_path: Path
) -> None:
    tokens.asked.clear()
    private = source(by_token.host, pull_secret=str(secret))
    found = look(private)
    assert bring(private, found, tmp_path / "s").files == 3
    asked = {"service": "registry.test", "scope": f"repository:{NAME}:pull", "authorization": BASIC}
    assert tokens.asked[0] == asked
    opened = open_source(private)
    opened._registry._client.auth._header = "Bearer outlived"  # type: ignore[attr-defined]
    assert b"".join(opened.stream("config.json", 0)).startswith(b"{")


@pytest.mark.parametrize("kind", ["guarded", "by_token"])
def test_a_private_repository_without_a_secret(kind: str, request: pytest.FixtureRequest) -> None:
    running: Registry = request.getfixturevalue(kind)
    with pytest.raises(AccessDenied, match=r"if it is private, set spec.source.oci.pullSecretRef"):
        look(source(running.host))


@pytest.mark.parametrize("kind", ["guarded", "by_token"])
def test_a_wrong_password(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    running: Registry = request.getfixturevalue(kind)
    wrong = write_secret(tmp_path / "config.json", {running.host: "reader:wrong"})
    with pytest.raises(AccessDenied, match=r"refuse|do not open") as raised:
        look(source(running.host, pull_secret=str(wrong)))
    assert "wrong" not in str(raised.value)


def test_a_secret_for_another_registry(guarded: Registry, tmp_path: Path) -> None:
    other = write_secret(tmp_path / "config.json", {"ghcr.io": "reader:wrong"})
    with pytest.raises(AccessDenied, match=r"no user and password for 127.0.0.1"):
        look(source(guarded.host, pull_secret=str(other)))


def test_a_token_does_not_follow_a_redirect(
    by_token: Registry, elsewhere: Proxy, secret: Path, tmp_path: Path
) -> None:
    with proxy(by_token.host) as before:
        before.redirects["blobs"] = f"http://{elsewhere.host}"
        write_secret(secret, {before.host: f"{USER}:{PASSWORD}"})
        private = source(before.host, pull_secret=str(secret))
        bring(private, look(private), tmp_path / "s")
        assert all(e.authorization for e in before.log if "blobs" in e.path)
    assert elsewhere.log
    assert not any(e.authorization for e in elsewhere.log)


ANSWERS: list[tuple[str, str, dict[str, Any], type[StepError], str]] = [
    ("no such repository", "team/none:v1", {}, SourceNotFound, "NAME_UNKNOWN|MANIFEST_UNKNOWN"),
    ("no such tag", f"{NAME}:v9", {}, SourceNotFound, "spec.source.oci.reference"),
    ("http", NAME, {"allow_insecure": False}, EndpointRefused, "sources.allowInsecure"),
    ("not TLS", NAME, {"insecure": False}, SourceUnavailable, "does not answer"),
    ("no Secret", NAME, {"pull_secret": "/nowhere"}, SecretMissing, "is not there"),
]


@pytest.mark.parametrize(
    ("name", "more", "error", "told"), [row[1:] for row in ANSWERS], ids=[r[0] for r in ANSWERS]
)
def test_what_the_registry_answers(
    server: Registry, name: str, more: dict[str, Any], error: type[StepError], told: str
) -> None:
    with pytest.raises(error, match=told) as raised:
        look(source(server.host, name, **more))
    assert (raised.value.retry_after is not None) == (error in {SecretMissing, SourceUnavailable})


def test_nobody_listens() -> None:
    with pytest.raises(SourceUnavailable, match="does not answer"):
        look(source("127.0.0.1:9"))


@pytest.mark.parametrize(
    ("status", "wait", "seconds"), [(503, None, 15), (429, 7, 7), (418, None, None)]
)
def test_other_answers(between: Proxy, status: int, wait: int | None, seconds: int | None) -> None:
    between.faults.add(Fault(kind="status", status=status, retry_after=wait))
    with pytest.raises(StepError, match=str(status)) as raised:
        look(source(between.host))
    again = raised.value.retry_after
    assert (None if again is None else again.total_seconds()) == seconds


def test_an_index_names_its_manifests(server: Registry) -> None:
    digest = look(source(server.host)).source_revision
    member = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest}
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [member | {"size": 1}]}
    server.push_raw(NAME, "index", index, INDEX_TYPE)
    with pytest.raises(UnsupportedModel, match=digest):
        look(source(server.host, f"{NAME}:index"))


BAD_LAYERS: list[tuple[str, dict[str, Any], type[StepError], str]] = [
    ("a tar", {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}, UnsupportedModel,
     "oras push"),
    ("a ModelKit", {"mediaType": "application/vnd.kitops.modelkit.model.v1.tar"},
     UnsupportedModel, "archive"),
    ("a folder", {"annotations": {TITLE: "a", "io.deis.oras.content.unpack": "true"}},
     UnsupportedModel, "archive"),
    ("a climbing name", {"annotations": {TITLE: "../../etc/passwd"}}, SourceInvalid, "leaves"),
    ("an absolute name", {"annotations": {TITLE: "/etc/passwd"}}, SourceInvalid, "leaves"),
    ("no name", {"annotations": {}}, SourceNotFound, "holds no model"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "error", "told"), [r[1:] for r in BAD_LAYERS], ids=[r[0] for r in BAD_LAYERS]
)
def test_layers_that_are_no_files(
    server: Registry, change: dict[str, Any], error: type[StepError], told: str
) -> None:
    layer = server.push_blob("team/bad", b"content") | change
    server.push_manifest("team/bad", "v1", [layer])
    with pytest.raises(error, match=told):
        look(source(server.host, "team/bad:v1"))


def test_two_layers_of_one_name(server: Registry) -> None:
    layers = [server.push_blob("team/twins", text) for text in (b"a", b"b")]
    named = [layer | {"annotations": {TITLE: "config.json"}} for layer in layers]
    server.push_manifest("team/twins", "v1", named)
    with pytest.raises(SourceInvalid, match="two layers named"):
        look(source(server.host, "team/twins:v1"))
    assert layers[0]["mediaType"] == FILE_TYPE
