"""Servers whose certificates only the installation's own bundle makes trusted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub.utils import close_session
from steps import look

from hub.server import Hub
from qmodel.worker.errors import CertificatesMissing, SourceUnavailable
from qmodel.worker.task import HubSource, OCISource, S3Source, SourceTask
from stores.proxy import proxy
from stores.registry import registry
from stores.s3 import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, s3_server
from stores.tls import authority, server_context

KINDS = ("hub", "s3", "oci")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tls")
    authority(made)
    (made / "accessKeyId").write_text(ACCESS_KEY_ID)
    (made / "secretAccessKey").write_text(SECRET_ACCESS_KEY)
    return made


@pytest.fixture(params=KINDS)
def source(
    request: pytest.FixtureRequest, folder: Path, model: Path, tmp_path: Path
) -> Iterator[SourceTask]:
    """Return one kind of source, of a server that speaks TLS."""
    kinds: dict[str, Callable[[Path, Path, Path], Iterator[SourceTask]]]
    kinds = {"hub": _hub, "s3": _s3, "oci": _oci}
    yield from kinds[request.param](folder, model, tmp_path)


def _hub(folder: Path, model: Path, tmp_path: Path) -> Iterator[SourceTask]:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "model").symlink_to(model)
    with Hub(tmp_path) as hub, proxy(hub.url[7:], server_context(folder)) as tls:
        yield HubSource(endpoint=f"https://{tls.host}", repository="test/model", revision="main")


def _s3(folder: Path, model: Path, tmp_path: Path) -> Iterator[SourceTask]:
    with s3_server(tmp_path) as server, proxy(server.url[7:], server_context(folder)) as tls:
        server.make_bucket("models")
        server.put_folder("models", "a", model)
        place = {"uri": "s3://models/a", "endpoint": f"https://{tls.host}", "region": REGION}
        yield S3Source(**place, credentials=str(folder))


def _oci(folder: Path, model: Path, tmp_path: Path) -> Iterator[SourceTask]:
    with registry(tmp_path) as server, proxy(server.host, server_context(folder)) as tls:
        server.push_folder("models/a", "v1", model)
        yield OCISource(reference=f"{tls.host}/models/a:v1")


def test_only_the_bundle_makes_a_server_trusted(
    source: SourceTask, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_session()
    with pytest.raises(SourceUnavailable, match=r"(?i)certificate|UnknownIssuer"):
        look(source)
    close_session()
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.crt"))
    assert look(source).layers == 2
    close_session()
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "absent.crt"))
    with pytest.raises(CertificatesMissing, match=r"sources\.caBundle"):
        look(source)
