"""The test hub against the client that the worker uses: huggingface_hub itself."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi, RepoFile, RepoFolder, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hub.server import Hub
from model import tiny

SETTINGS = {
    "tokens": {"hf_reader": ["test/gated"], "hf_stranger": []},
    "repositories": {
        "test/open": {"refs": ["v1"]},
        "test/gated": {"gated": True},
        "test/bad": {"sha256": {"model.safetensors": "0" * 64}},
    },
}
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    for name in ("open", "gated", "bad"):
        tiny.write(folder / "test" / name)
    nested = folder / "test/open/original/params.json"
    nested.parent.mkdir()
    nested.write_text("{}")
    (folder / "repositories.json").write_text(json.dumps(SETTINGS))
    return folder


@pytest.fixture
def hub(root: Path) -> Iterator[Hub]:
    with Hub(root) as running:
        yield running


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.url, token=False)


def control(hub: Hub, method: str, **content: Any) -> dict[str, Any]:
    answer = httpx.request(method, f"{hub.url}/_control", json=content)
    answer.raise_for_status()
    answered: dict[str, Any] = answer.json()
    return answered


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_information_names_commit_files_and_checksums(api: HfApi, root: Path) -> None:
    information = api.model_info("test/open", files_metadata=True)
    siblings = {sibling.rfilename: sibling for sibling in information.siblings or []}
    weights = siblings[WEIGHTS]
    assert len(information.sha or "") == 40
    assert set(siblings) == {"config.json", WEIGHTS, "original/params.json"}
    assert weights.size == (root / "test/open" / WEIGHTS).stat().st_size
    assert weights.lfs is not None
    assert weights.lfs.sha256 == sha256(root / "test/open" / WEIGHTS)
    assert siblings["config.json"].lfs is None


def test_tree_lists_folders_unless_recursive(api: HfApi) -> None:
    flat = {entry.path: type(entry) for entry in api.list_repo_tree("test/open")}
    deep = {entry.path: type(entry) for entry in api.list_repo_tree("test/open", recursive=True)}
    assert flat == {"config.json": RepoFile, WEIGHTS: RepoFile, "original": RepoFolder}
    assert deep == {"config.json": RepoFile, WEIGHTS: RepoFile, "original/params.json": RepoFile}


def test_snapshot_equals_the_repository(api: HfApi, root: Path, tmp_path: Path) -> None:
    folder = Path(api.snapshot_download("test/open", local_dir=tmp_path / "local"))
    for name in ("config.json", WEIGHTS, "original/params.json"):
        assert sha256(folder / name) == sha256(root / "test/open" / name)


def test_headers_of_weights_are_read_by_range(api: HfApi, hub: Hub) -> None:
    metadata = api.get_safetensors_metadata("test/open")
    assert len(metadata.weight_map) == len(tiny.weights(tiny.Shape()))
    assert sum(entry.sent_bytes for entry in hub.log) < 200_000


@pytest.mark.parametrize("revision", ["main", "v1"])
def test_named_revisions_resolve_to_the_commit(api: HfApi, revision: str) -> None:
    commit = api.model_info("test/open").sha
    assert api.model_info("test/open", revision=revision).sha == commit
    assert api.model_info("test/open", revision=commit).sha == commit


def test_unknown_repository_revision_and_file(api: HfApi, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("test/missing")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("test/open", revision="missing")
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download("test/open", "missing.json", local_dir=tmp_path)


def test_gated_files_need_a_token_with_access(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    assert api.model_info("test/gated").gated == "manual"
    for token, status in ((False, 401), ("hf_stranger", 403)):
        with pytest.raises(GatedRepoError) as refused:
            HfApi(endpoint=hub.url, token=token).hf_hub_download(
                "test/gated", "config.json", local_dir=tmp_path
            )
        assert refused.value.response.status_code == status
    granted = HfApi(endpoint=hub.url, token="hf_reader")  # noqa: S106 - the test hub's own
    assert Path(granted.hf_hub_download("test/gated", WEIGHTS, local_dir=tmp_path)).exists()


def test_wrong_token_is_refused(hub: Hub) -> None:
    wrong = HfApi(endpoint=hub.url, token="hf_wrong")  # noqa: S106 - the test hub's own
    with pytest.raises(HfHubHTTPError) as refused:
        wrong.model_info("test/open")
    assert refused.value.response.status_code == 401


def test_interrupted_body_is_resumed_where_it_broke(
    api: HfApi, hub: Hub, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client keeps whole chunks only; its own are larger than this file.
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)
    control(hub, "POST", faults=[{"kind": "interrupt", "after_bytes": 700_000, "times": 1}])
    path = Path(api.hf_hub_download("test/open", WEIGHTS, local_dir=tmp_path))
    assert sha256(path) == sha256(root / "test/open" / WEIGHTS)
    ranges = [entry["range"] for entry in control(hub, "GET")["requests"] if entry["range"]]
    assert ranges == ["bytes=700000-"]


def test_rate_limit_is_answered_with_the_time_to_wait(api: HfApi, hub: Hub) -> None:
    control(hub, "POST", faults=[{"kind": "status", "status": 429, "retry_after": 7}])
    with pytest.raises(HfHubHTTPError) as refused:
        api.model_info("test/open")
    assert refused.value.response.headers["Retry-After"] == "7"
    control(hub, "DELETE")
    assert api.model_info("test/open").sha


def test_endpoint_is_down_for_a_number_of_requests(api: HfApi, hub: Hub) -> None:
    control(hub, "POST", faults=[{"kind": "status", "status": 503, "times": 1, "path": "^/api/"}])
    with pytest.raises(HfHubHTTPError):
        api.model_info("test/open")
    assert api.model_info("test/open").sha


def test_endpoint_is_up_again_after_its_time(api: HfApi, hub: Hub) -> None:
    control(hub, "POST", faults=[{"kind": "status", "status": 503, "seconds": 0}])
    assert api.model_info("test/open").sha


def test_corrupt_fault_changes_the_content(
    api: HfApi, hub: Hub, root: Path, tmp_path: Path
) -> None:
    control(hub, "POST", faults=[{"kind": "corrupt", "path": "safetensors", "times": 1}])
    path = Path(api.hf_hub_download("test/open", WEIGHTS, local_dir=tmp_path))
    served, stored = path.read_bytes(), (root / "test/open" / WEIGHTS).read_bytes()
    assert served != stored
    assert served[1:] == stored[1:]


def test_bad_repository_advertises_another_checksum(api: HfApi, root: Path, tmp_path: Path) -> None:
    (weights,) = (entry for entry in api.list_repo_tree("test/bad") if entry.path == WEIGHTS)
    assert isinstance(weights, RepoFile)
    assert weights.lfs is not None
    path = Path(api.hf_hub_download("test/bad", WEIGHTS, local_dir=tmp_path))
    assert sha256(path) == sha256(root / "test/bad" / WEIGHTS) != weights.lfs.sha256


def test_slow_body_arrives_whole(api: HfApi, hub: Hub, tmp_path: Path) -> None:
    fault = {"kind": "slow", "bytes_per_second": 20_000_000, "path": "safetensors"}
    control(hub, "POST", faults=[fault])
    path = Path(api.hf_hub_download("test/open", WEIGHTS, local_dir=tmp_path))
    assert max(entry.sent_bytes for entry in hub.log) == path.stat().st_size


def test_slow_body_comes_little_by_little(hub: Hub) -> None:
    control(hub, "POST", faults=[{"kind": "slow", "bytes_per_second": 100, "path": "_cdn"}])
    url = f"{hub.url}/test/open/resolve/main/{WEIGHTS}"
    with httpx.stream("GET", url, follow_redirects=True) as answer:
        assert len(next(answer.iter_raw())) == 100
        assert int(answer.headers["Content-Length"]) > 1000


def test_unknown_fault_is_refused(hub: Hub) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        control(hub, "POST", faults=[{"kind": "flood"}])
