"""Inspect and fetch from a real S3 server, and from one that misbehaves."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from steps import WEIGHTS, bring, look, write_random_model, write_tiny_gguf

from hub.faults import Fault
from qmodel.api.methods import Method
from qmodel.worker.errors import (
    AccessDenied,
    EndpointRefused,
    SecretMissing,
    SourceChanged,
    SourceInvalid,
    SourceNotFound,
    SourceUnavailable,
    StepError,
    UnsupportedModel,
    WrongRegion,
)
from qmodel.worker.manifest import load_manifest
from qmodel.worker.sources import open_source, s3
from qmodel.worker.task import S3Source
from stores.proxy import Proxy, proxy
from stores.s3 import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, S3Server, s3_server

URI = "s3://models/team/smollm2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("s3")
    with s3_server(folder) as running:
        running.make_bucket("models")
        running.put_folder("models", "team/smollm2", model)
        running.put("models", {"team/smollm2/below/config.json": b"{}"})
        running.put("models", {"gguf/a.gguf": write_tiny_gguf(folder / "a.gguf")})
        running.put("models", {"gguf/b.gguf": folder / "a.gguf"})
        yield running


@pytest.fixture
def between(server: S3Server) -> Iterator[Proxy]:
    with proxy(server.url.removeprefix("http://")) as running:
        yield running


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "accessKeyId").write_text(f"{ACCESS_KEY_ID}\n")
    (folder / "secretAccessKey").write_text(SECRET_ACCESS_KEY)
    return folder


def source(url: str, keys: Path | None, **more: Any) -> S3Source:
    given: dict[str, Any] = {
        "uri": URI,
        "endpoint": url,
        "region": REGION,
        "credentials": None if keys is None else str(keys),
        "allow_insecure": True,
    }
    return S3Source(**given | more)


def test_inspecting_reads_headers_only(
    server: S3Server, between: Proxy, keys: Path, model: Path
) -> None:
    found = look(source(f"http://{between.host}", keys))
    assert (found.format, found.layers) == ("safetensors", 2)
    assert sum(e.sent_bytes for e in between.log) < (model / WEIGHTS).stat().st_size / 10
    assert look(source(server.url, keys)) == found


def test_fetching_brings_the_files(
    server: S3Server, keys: Path, model: Path, tmp_path: Path
) -> None:
    bucket = source(server.url, keys)
    found = look(bucket)
    assert bring(bucket, found, tmp_path / "s").files == 3
    for path in model.iterdir():
        assert (tmp_path / "s" / path.name).read_bytes() == path.read_bytes()
    provenance = {"source": URI, "revision": found.source_revision}
    assert load_manifest(tmp_path / "s").provenance == provenance


def test_a_slash_at_the_end_of_prefix_or_endpoint_changes_nothing(
    server: S3Server, keys: Path
) -> None:
    slashed = source(f"{server.url}/", keys, uri=f"{URI}/")
    assert look(slashed).source_digest == look(source(server.url, keys)).source_digest


def test_a_bucket_of_many_objects_is_listed_no_further(
    server: S3Server, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "MAX_FILES", 4)
    with pytest.raises(SourceInvalid, match="more than 4 objects, those in folders below"):
        open_source(source(server.url, keys, uri="s3://models"))


def test_one_gguf_object(server: S3Server, keys: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"spec.source.s3.uri to one of: a.gguf, b.gguf"):
        look(source(server.url, keys, uri="s3://models/gguf"), Method.NONE)
    one = source(server.url, keys, uri="s3://models/gguf/b.gguf")
    assert bring(one, look(one, Method.NONE), tmp_path / "s").files == 1
    assert (tmp_path / "s" / "b.gguf").exists()


def test_an_interrupted_body_continues(
    between: Proxy, keys: Path, model: Path, tmp_path: Path
) -> None:
    bucket = source(f"http://{between.host}", keys)
    found = look(bucket)
    between.log.clear()
    between.faults.add(Fault(kind="interrupt", path=WEIGHTS, after_bytes=2_200_000, times=2))
    bring(bucket, found, tmp_path / "s")
    size = (model / WEIGHTS).stat().st_size
    assert len(set(between.ranges(WEIGHTS))) == 3
    assert sum(e.sent_bytes for e in between.log if WEIGHTS in e.path) < 3 * size / 2
    assert (tmp_path / "s" / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()


def test_a_killed_process_continues(
    between: Proxy, keys: Path, model: Path, tmp_path: Path
) -> None:
    content = (model / WEIGHTS).read_bytes()
    (tmp_path / "s.partial").mkdir()
    (tmp_path / "s.partial" / WEIGHTS).write_bytes(content[:3_000_000])
    bucket = source(f"http://{between.host}", keys)
    found = look(bucket)
    between.log.clear()
    bring(bucket, found, tmp_path / "s")
    assert between.ranges(WEIGHTS) == [f"bytes=3000000-{len(content) - 1}"]
    assert (tmp_path / "s" / WEIGHTS).read_bytes() == content


def test_an_object_that_changed_since_it_was_inspected(
    server: S3Server, keys: Path, tmp_path: Path
) -> None:
    server.put_folder("models", "changing", write_random_model(tmp_path / "model"))
    bucket = source(server.url, keys, uri="s3://models/changing")
    found = look(bucket)
    server.put("models", {f"changing/{WEIGHTS}": write_random_model(tmp_path / "model") / WEIGHTS})
    with pytest.raises(SourceChanged, match="changed since it was inspected"):
        bring(bucket, found, tmp_path / "s")


def test_an_object_that_changes_while_it_is_read(
    server: S3Server, keys: Path, tmp_path: Path
) -> None:
    server.put_folder("models", "moving", write_random_model(tmp_path / "model"))
    opened = open_source(source(server.url, keys, uri="s3://models/moving"))
    server.put("models", {f"moving/{WEIGHTS}": os.urandom(1000)})
    with pytest.raises(SourceChanged, match="PreconditionFailed"):
        list(opened.stream(WEIGHTS, 0))


def test_a_server_that_is_away_for_a_while(between: Proxy, keys: Path, tmp_path: Path) -> None:
    bucket = source(f"http://{between.host}", keys)
    found = look(bucket)
    between.faults.add(Fault(kind="status", status=503, path=WEIGHTS, times=4))
    assert bring(bucket, found, tmp_path / "s").files == 3


ANSWERS: list[tuple[str, dict[str, Any], type[StepError], str]] = [
    ("no such folder", {"uri": "s3://models/none"}, SourceNotFound, "spec.source.s3.uri"),
    ("no such object", {"uri": "s3://models/none.gguf"}, SourceNotFound, "NoSuchKey"),
    ("no such bucket", {"uri": "s3://nothing/a"}, SourceNotFound, "NoSuchBucket"),
    ("another region", {"region": "us-east-1"}, WrongRegion, r"spec.source.s3.region"),
    ("no keys", {"credentials": None}, AccessDenied, r"set spec.source.s3.credentialsSecretRef"),
    ("no Secret", {"credentials": "/nowhere"}, SecretMissing, "accessKeyId .* is not there"),
    ("nobody listens", {"endpoint": "http://127.0.0.1:9"}, SourceUnavailable, "refused"),
    ("not TLS", {"endpoint": "https"}, SourceUnavailable, "does not answer"),
    ("http", {"allow_insecure": False}, EndpointRefused, "sources.allowInsecure"),
]


@pytest.mark.parametrize(
    ("asked", "error", "told"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS]
)
def test_what_the_server_answers(
    server: S3Server, keys: Path, asked: dict[str, Any], error: type[StepError], told: str
) -> None:
    if asked.get("endpoint") == "https":
        asked = {"endpoint": server.url.replace("http:", "https:")}
    with pytest.raises(error, match=told) as raised:
        look(source(server.url, keys, **asked))
    assert (raised.value.retry_after is not None) == (error in {SecretMissing, SourceUnavailable})
    assert SECRET_ACCESS_KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("secretAccessKey", "wrong", "SignatureDoesNotMatch.*do not open it"),
        ("accessKeyId", "nobody", "do not open it"),
        ("accessKeyId", "two words", "accessKeyId .* holds no usable secret"),
    ],
)
def test_wrong_keys(server: S3Server, keys: Path, name: str, content: str, told: str) -> None:
    (keys / name).write_text(content)
    with pytest.raises(AccessDenied, match=told) as raised:
        look(source(server.url, keys))
    assert content not in str(raised.value).replace("do not open", "")


@pytest.mark.parametrize(("status", "retried"), [(500, True), (429, True), (400, False)])
def test_other_answers(between: Proxy, keys: Path, status: int, *, retried: bool) -> None:
    between.faults.add(Fault(kind="status", status=status))
    with pytest.raises(StepError, match=str(status)) as raised:
        look(source(f"http://{between.host}", keys))
    assert (raised.value.retry_after is not None) == retried


def test_a_proxy_of_the_network_is_used(
    server: S3Server, between: Proxy, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{between.host}")
    look(source(server.url, keys))
    assert between.log
    between.log.clear()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    look(source(server.url, keys))
    assert not between.log
