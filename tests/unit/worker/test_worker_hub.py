"""Inspect and fetch through the real client from a hub that misbehaves."""

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from huggingface_hub.utils import close_session
from sparse_models import LLAMA, gguf_metadata, gguf_shapes, llama_shapes, write_gguf, write_model

from hub.faults import Fault
from hub.server import Hub
from hub.store import git_blob_id
from qmodel.api.methods import Method
from qmodel.worker import fetch, inspect
from qmodel.worker.errors import (
    AccessDenied,
    CertificatesMissing,
    ChecksumMismatch,
    DiskFull,
    HubUnavailable,
    RepositoryNotFound,
    RevisionNotFound,
    SecretMissing,
    SourceInvalid,
    SourceNotFound,
    StepError,
)
from qmodel.worker.manifest import MANIFEST, complete, load_manifest, verify
from qmodel.worker.progress import Progress
from qmodel.worker.report import Fetched, Inspection
from qmodel.worker.sources import pinned
from qmodel.worker.sources.base import Chunks, read
from qmodel.worker.sources.hub import HubRepository
from qmodel.worker.task import FetchTask, HubSource, InspectTask

WIDE = LLAMA | {"vocab_size": 40_000}
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repositories")
    for name in ("open", "gated", "bad"):
        path = write_model(folder / "test" / name, WIDE, llama_shapes(WIDE))
        with (path / WEIGHTS).open("r+b") as file:
            file.seek(1 << 20)
            file.write(os.urandom(3 << 20))
    (folder / "test/gguf/Q8").mkdir(parents=True)
    write_gguf(folder / "test/gguf/Q8/model.gguf", gguf_metadata(), gguf_shapes())
    write_gguf(folder / "test/gguf/other.gguf", gguf_metadata(), gguf_shapes())
    settings = {
        "tokens": {"hf_reader": ["test/gated"], "hf_stranger": []},
        "repositories": {
            "test/gated": {"gated": True},
            "test/bad": {"sha256": {WEIGHTS: "0" * 64}},
        },
    }
    (folder / "repositories.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def hub(root: Path) -> Iterator[Hub]:
    with Hub(root) as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FIRST_WAIT_SECONDS", 0.01)


def source(hub: Hub, repository: str = "test/open", **more: Any) -> HubSource:
    return HubSource(endpoint=hub.url, repository=repository, **{"revision": "main"} | more)


def look(found: HubSource, method: Method = Method.GGUF) -> Inspection:
    return inspect.run(InspectTask(source=found, method=method), Progress("inspect", StringIO()))


def bring(
    found: HubSource, inspection: Inspection, directory: Path, lines: StringIO | None = None
) -> Fetched:
    task = FetchTask(
        source=found, source_revision=inspection.source_revision, directory=str(directory)
    )
    return fetch.run(task, Progress("fetch", lines or StringIO()))


def opens_with_room_for(room: int) -> Callable[..., Any]:
    """Return what opens files as usual, but whose volume has no room after so many bytes."""
    opens = Path.open

    class Filling:
        def __init__(self, file: Any) -> None:
            self._file = file

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def write(self, content: bytes) -> int:
            nonlocal room
            written = self._file.write(content[:room])
            room -= written
            if written < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return int(written)

    def open_(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        file = opens(path, mode, *rest, **more)
        return Filling(file) if mode == "ab" else file

    return open_


def test_inspecting_reads_headers_only(hub: Hub, root: Path) -> None:
    found = look(source(hub))
    size = (root / "test/open" / WEIGHTS).stat().st_size
    assert (found.format, found.vocabulary_size, found.layers) == ("safetensors", 40_000, 2)
    assert len(found.source_revision) == 40
    assert found.source_bytes > size
    assert sum(entry.sent_bytes for entry in hub.log) < size / 10


@pytest.mark.parametrize("offset", [0, 2_500_000])
def test_of_a_file_that_comes_whole_no_more_is_taken_than_was_asked_for(
    hub: Hub, root: Path, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    hub.faults.add(Fault(kind="whole", path="_cdn"))
    repository = HubRepository(source(hub))
    taken, streams, whole = [], [], repository.stream

    def counted(*asked: Any) -> Chunks:
        for chunk in whole(*asked):
            taken.append(len(chunk))
            yield chunk

    def streamed(*asked: Any) -> Chunks:
        streams.append(counted(*asked))
        return streams[-1]

    monkeypatch.setattr(repository, "stream", streamed)
    content = (root / "test/open" / WEIGHTS).read_bytes()
    assert read(repository, WEIGHTS, offset, 1000) == content[offset : offset + 1000]
    assert sum(taken) <= 1 << 20 < len(content) - offset
    assert streams[0].gi_frame is None, "the server was not hung up on"


def test_fetching_brings_verified_files(hub: Hub, root: Path, tmp_path: Path) -> None:
    lines, target = StringIO(), tmp_path / "artifacts" / "sources" / "1"
    found = look(source(hub))
    assert bring(source(hub), found, target, lines) == Fetched(bytes=found.source_bytes, files=3)
    assert {path.name for path in target.iterdir()} == {
        "config.json", "tokenizer.json", WEIGHTS, MANIFEST,
    }  # fmt: skip
    assert (target / WEIGHTS).read_bytes() == (root / "test/open" / WEIGHTS).read_bytes()
    assert load_manifest(target).provenance == {
        "source": "test/open", "revision": found.source_revision,
    }  # fmt: skip
    verify(target, Progress("verify", StringIO()))
    assert '"percent":100' in lines.getvalue()


def test_what_was_inspected_is_fetched_whatever_the_branch_names_by_now(hub: Hub) -> None:
    commit = "c" * 40
    assert pinned(source(hub), commit) == source(hub, revision=commit)


def test_fetching_again_asks_for_nothing(hub: Hub, tmp_path: Path) -> None:
    found = look(source(hub))
    first = bring(source(hub), found, tmp_path / "s")
    hub.log.clear()
    assert bring(source(hub), found, tmp_path / "s") == first
    assert not hub.log


def test_an_incomplete_folder_is_brought_again(hub: Hub, tmp_path: Path) -> None:
    found = look(source(hub))
    bring(source(hub), found, tmp_path / "s")
    (tmp_path / "s" / WEIGHTS).unlink()
    bring(source(hub), found, tmp_path / "s")
    assert complete(tmp_path / "s")


def test_an_interrupted_body_continues(hub: Hub, root: Path, tmp_path: Path) -> None:
    size = (root / "test/open" / WEIGHTS).stat().st_size
    found = look(source(hub))
    hub.log.clear()
    hub.faults.add(Fault(kind="interrupt", path="_cdn", after_bytes=2_200_000, times=2))
    bring(source(hub), found, tmp_path / "s")
    ranges = [entry.range for entry in hub.log if "_cdn" in entry.path]
    assert ranges[0] == "bytes=0-"
    assert len(set(ranges)) == 3
    assert sum(entry.sent_bytes for entry in hub.log if "_cdn" in entry.path) < size * 3 / 2


def test_a_killed_process_continues(hub: Hub, root: Path, tmp_path: Path) -> None:
    partial = tmp_path / "s.partial"
    partial.mkdir()
    content = (root / "test/open" / WEIGHTS).read_bytes()
    (partial / WEIGHTS).write_bytes(content[:3_000_000])
    (partial / "stray").touch()
    found = look(source(hub))
    hub.log.clear()
    bring(source(hub), found, tmp_path / "s")
    ranges = [entry.range for entry in hub.log if "_cdn" in entry.path]
    assert ranges == ["bytes=3000000-"]
    assert (tmp_path / "s" / WEIGHTS).read_bytes() == content
    assert not (tmp_path / "s" / "stray").exists()


@pytest.mark.parametrize("left", [b"damaged" * 100_000, b"x" * 9_000_000])
def test_a_damaged_rest_starts_again(hub: Hub, tmp_path: Path, left: bytes) -> None:
    partial = tmp_path / "s.partial"
    partial.mkdir()
    (partial / WEIGHTS).write_bytes(left)
    bring(source(hub), look(source(hub)), tmp_path / "s")
    assert complete(tmp_path / "s")


def test_a_wrong_checksum_names_and_removes_the_file(hub: Hub, tmp_path: Path) -> None:
    bad = source(hub, "test/bad")
    with pytest.raises(ChecksumMismatch, match=rf"{WEIGHTS} .* sha256 0{{64}} .* received"):
        bring(bad, look(bad), tmp_path / "s")
    assert not (tmp_path / "s").exists()
    assert not (tmp_path / "s.partial" / WEIGHTS).exists()


def test_a_small_file_is_checked_by_its_git_hash(hub: Hub, root: Path, tmp_path: Path) -> None:
    blob = git_blob_id((root / "test/open/config.json").read_bytes())
    found = look(source(hub))
    hub.faults.add(Fault(kind="corrupt", path=r"config\.json"))
    with pytest.raises(ChecksumMismatch, match=rf"config.json .* git blob {blob}"):
        bring(source(hub), found, tmp_path / "s")


def test_a_full_volume_is_seen_beforehand(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = look(source(hub))
    hub.log.clear()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DiskFull, match=rf"needs {found.source_bytes} bytes .* 1000 bytes free"):
        bring(source(hub), found, tmp_path / "s")
    assert not any("resolve" in entry.path for entry in hub.log)


def test_a_file_of_a_folder_below_is_brought_by_its_name(hub: Hub, tmp_path: Path) -> None:
    wanted = source(hub, "test/gguf", file="Q8/model.gguf")
    found = look(wanted, Method.NONE)
    assert found.quantization
    assert found.quantization.description == "GGUF Q8_0"
    assert bring(wanted, found, tmp_path / "s").files == 1
    assert (tmp_path / "s" / "model.gguf").stat().st_size == found.source_bytes


STATUSES: list[tuple[str, dict[str, Any], dict[str, Any] | None, type[StepError], str]] = [
    ("no repository", {"repository": "test/none"}, None, RepositoryNotFound,
     r"no repository test/none.*tokenSecretRef"),
    ("no revision", {"revision": "v9"}, None, RevisionNotFound, "no revision v9"),
    ("no file", {"repository": "test/gguf", "file": "x.gguf"}, None, SourceNotFound,
     "no file x.gguf"),
    ("gated, no token", {"repository": "test/gated"}, None, AccessDenied,
     r"set spec.source.huggingFace.tokenSecretRef"),
    ("gated, a stranger's token", {"repository": "test/gated", "token": "hf_stranger"}, None,
     AccessDenied, "does not open it"),
    ("an unknown token", {"repository": "test/gated", "token": "hf_unknown"}, None, AccessDenied,
     "does not open it"),
    ("an empty token", {"token": "\n"}, None, AccessDenied, "holds no usable secret"),
    ("a token with a line break", {"token": "a\r\nX-Evil: 1"}, None, AccessDenied, "no usable"),
    ("rate limit", {}, {"status": 429, "retry_after": 7}, HubUnavailable, "429"),
    ("overloaded", {}, {"status": 503}, HubUnavailable, "503"),
    ("overloaded while reading", {}, {"status": 502, "path": "resolve"}, HubUnavailable, "502"),
    ("no hub at all", {}, {"status": 200}, HubUnavailable, "does not answer"),
    ("a body cut short", {}, {"kind": "interrupt", "after_bytes": 10}, HubUnavailable, "answer"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "asked", "fault", "error", "told"), STATUSES, ids=[row[0] for row in STATUSES]
)
def test_what_the_hub_answers(  # noqa: PLR0917  fixtures and a table
    hub: Hub,
    tmp_path: Path,
    name: str,
    asked: dict[str, Any],
    fault: dict[str, Any] | None,
    error: type[StepError],
    told: str,
) -> None:
    if "token" in asked:
        token_file = tmp_path / name
        token_file.write_text(asked["token"])
        asked = {k: v for k, v in asked.items() if k != "token"} | {"token_file": str(token_file)}
    if fault:
        hub.faults.add(Fault(**{"kind": "status"} | fault))
    with pytest.raises(error, match=told) as raised:
        look(source(hub, **{"repository": "test/open"} | asked), Method.GGUF)
    seconds = raised.value.retry_after.total_seconds() if raised.value.retry_after else None
    assert seconds == ({7: 7.0}.get((fault or {}).get("retry_after", 0), 15.0) if fault else None)
    assert "hf_" not in str(raised.value)


def test_a_token_that_is_not_there_may_come_yet(hub: Hub, tmp_path: Path) -> None:
    gated = source(hub, "test/gated", token_file=str(tmp_path / "absent"))
    with pytest.raises(
        SecretMissing, match=r"huggingFace\.tokenSecretRef .* is not there"
    ) as raised:
        look(gated)
    assert raised.value.retry_after
    assert not hub.log


def test_certificates_that_are_not_there_may_come_yet(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent"))
    with pytest.raises(CertificatesMissing, match=r"sources\.caBundle") as raised:
        look(source(hub))
    assert raised.value.retry_after


def test_the_right_token_opens_a_gated_repository(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_reader\n")
    gated = source(hub, "test/gated", token_file=str(tmp_path / "token"))
    bring(gated, look(gated), tmp_path / "s")
    assert all(entry.is_authenticated for entry in hub.log if "_cdn" not in entry.path)


def test_a_token_does_not_follow_a_redirect(hub: Hub, root: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_reader")
    gated = source(hub, "test/gated", token_file=str(tmp_path / "token"))
    with Hub(root) as cdn:
        hub.store.cdn = cdn.url
        bring(gated, look(gated), tmp_path / "s")
        assert cdn.log
        assert not any(entry.is_authenticated for entry in cdn.log)
    assert all(entry.is_authenticated for entry in hub.log)


def test_patterns_choose_among_files(hub: Hub, tmp_path: Path) -> None:
    chosen = source(hub, "test/gguf", exclude=["other.*"])
    assert bring(chosen, look(chosen, Method.NONE), tmp_path / "s").files == 1
    assert (tmp_path / "s" / "model.gguf").exists()
    below = source(hub, "test/gguf", include=["Q8/*"])
    assert look(below, Method.NONE) == look(chosen, Method.NONE)
    nothing = source(hub, include=["*.json"], exclude=["config.json"])
    with pytest.raises(SourceNotFound, match=r"found tokenizer\.json"):
        look(nothing)


def test_a_hub_that_refuses_connections_while_files_come(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "open_source", lambda _: opened)
    with Hub(root) as hub:
        opened = HubRepository(source(hub))
        found = look(source(hub))
        port = int(hub.url.rpartition(":")[2])
        gone = source(hub)
    close_session()  # connections that are kept would still be answered
    with pytest.raises(HubUnavailable, match="refused"):
        bring(gone, found, tmp_path / "s")
    with Hub(root, port=port):
        assert bring(gone, found, tmp_path / "s").files == 3


def test_a_volume_that_fills_up_keeps_what_it_has(
    hub: Hub, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = look(source(hub))
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.open", opens_with_room_for(3_000_000))
        with pytest.raises(DiskFull, match=r"spec.storage.size") as raised:
            bring(source(hub), found, tmp_path / "s")
    assert raised.value.retry_after is None
    assert 0 < (tmp_path / "s.partial" / WEIGHTS).stat().st_size <= 3_000_000
    hub.log.clear()
    bring(source(hub), found, tmp_path / "s")
    content = (root / "test/open" / WEIGHTS).read_bytes()
    assert (tmp_path / "s" / WEIGHTS).read_bytes() == content
    assert sum(e.sent_bytes for e in hub.log if "_cdn" in e.path) < len(content)


def test_an_endpoint_with_a_slash_at_its_end(hub: Hub) -> None:
    slashed = source(hub).model_copy(update={"endpoint": hub.url + "/"})
    assert look(slashed) == look(source(hub))
    assert all("//" not in entry.path for entry in hub.log)


def test_nobody_listens(hub: Hub) -> None:
    gone = source(hub).model_copy(update={"endpoint": "http://127.0.0.1:9"})
    with pytest.raises(HubUnavailable, match="does not answer"):
        look(gone)


def test_a_hub_that_stays_away_is_given_up(hub: Hub, tmp_path: Path) -> None:
    found = look(source(hub))
    hub.faults.add(Fault(kind="status", status=503, path="resolve"))
    with pytest.raises(HubUnavailable):
        bring(source(hub), found, tmp_path / "s")
    assert (tmp_path / "s.partial").exists()


def test_a_hub_that_is_away_for_a_while(hub: Hub, tmp_path: Path) -> None:
    found = look(source(hub))
    hub.faults.add(Fault(kind="status", status=503, path="resolve", times=5))
    assert bring(source(hub), found, tmp_path / "s").files == 3


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "a\\b", "a/../../b", ""])
def test_a_hub_whose_names_climb(hub: Hub, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sibling = type("Sibling", (), {"rfilename": name, "size": 1, "lfs": None, "blob_id": "0"})
    info = type("Info", (), {"sha": "0" * 40, "siblings": [sibling]})
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: info)
    with pytest.raises(SourceInvalid, match="leaves the model's folder"):
        HubRepository(source(hub))


def test_no_thread_outlives_a_fetch(hub: Hub, tmp_path: Path) -> None:
    found = look(source(hub))
    hub.faults.add(Fault(kind="corrupt", path=r"config\.json"))
    hub.faults.add(Fault(kind="slow", path=r"tokenizer\.json", bytes_per_second=4))
    with pytest.raises(ChecksumMismatch):
        bring(source(hub), found, tmp_path / "s")
    alive = [thread.name for thread in threading.enumerate() if "ThreadPool" in thread.name]
    assert alive == []
    assert (tmp_path / "s.partial" / "tokenizer.json").exists()
    assert not (tmp_path / "s.partial" / WEIGHTS).exists()
