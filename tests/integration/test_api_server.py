"""What the operator counts on and only a real API server can prove."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from cluster import target
from qmodel.cluster.client import ApiClient
from qmodel.cluster.credentials import load
from qmodel.cluster.drift import has_drifted
from qmodel.cluster.errors import AlreadyExists, Conflict, NotFound
from qmodel.cluster.kinds import DEPLOYMENT, MODEL, SERVICE, WRITTEN, Kind, Scope
from qmodel.naming import MANAGER
from unit.resources.wishes import WISHES, built

Object = dict[str, Any]
CONFIG_MAP = Kind("ConfigMap", "configmaps", "", "v1")


@pytest.fixture(scope="module", autouse=True)
def _kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    path: Path = tmp_path_factory.mktemp("cluster") / "kubeconfig"
    path.write_text(target.kubeconfig())
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(path)
    yield
    os.environ.pop("KUBECONFIG")
    if before is not None:
        os.environ["KUBECONFIG"] = before


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    name = f"qmodel-test-{uuid4().hex[:6]}"
    target.kubectl(["create", "namespace", name])
    yield name
    target.kubectl(["delete", "namespace", name, "--wait=false"])


@pytest_asyncio.fixture
async def client() -> AsyncIterator[ApiClient]:
    found = ApiClient(await load())
    yield found
    await found.close()


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def model(name: str) -> Object:
    spec = {
        "source": {"huggingFace": {"repository": "owner/name"}},
        "quantization": {"method": "GGUF"},
        "suspend": True,
    }
    return {
        "apiVersion": "qmodel.dev/v1alpha1",
        "kind": "QuantizedModel",
        "metadata": {"name": name},
        "spec": spec,
    }


async def test_what_exists_is_not_created_again(client: ApiClient, namespace: str) -> None:
    await client.create(CONFIG_MAP, namespace, config_map("twice"))
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAP, namespace, config_map("twice"))


async def test_an_apply_does_not_overwrite_an_object_made_anew(
    client: ApiClient, namespace: str
) -> None:
    first = await client.create(CONFIG_MAP, namespace, config_map("anew"))
    await client.delete(CONFIG_MAP, namespace, "anew", first["metadata"]["uid"])
    await client.create(CONFIG_MAP, namespace, config_map("anew", owner="someone else"))
    stale = config_map("anew", owner="us")
    stale["metadata"]["uid"] = first["metadata"]["uid"]
    with pytest.raises(Conflict):
        await client.apply(CONFIG_MAP, namespace, "anew", stale)
    found = await client.get(CONFIG_MAP, namespace, "anew")
    assert found["data"] == {"owner": "someone else"}


async def test_an_apply_with_a_uid_does_not_bring_back_what_was_deleted(
    client: ApiClient, namespace: str
) -> None:
    first = await client.create(CONFIG_MAP, namespace, config_map("deleted"))
    await client.delete(CONFIG_MAP, namespace, "deleted", first["metadata"]["uid"])
    stale = config_map("deleted")
    stale["metadata"]["uid"] = first["metadata"]["uid"]
    with pytest.raises((Conflict, NotFound)):
        await client.apply(CONFIG_MAP, namespace, "deleted", stale)
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAP, namespace, "deleted")


async def test_a_delete_by_an_old_uid_spares_an_object_made_anew(
    client: ApiClient, namespace: str
) -> None:
    await client.create(CONFIG_MAP, namespace, config_map("spared"))
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAP, namespace, "spared", str(uuid4()))
    await client.get(CONFIG_MAP, namespace, "spared")


@pytest.mark.parametrize("name", list(WISHES))
async def test_a_child_just_written_has_not_drifted(
    client: ApiClient, namespace: str, name: str
) -> None:
    manifest = built(name)
    manifest["metadata"] |= {"namespace": namespace, "name": f"drift-{name}"}
    # No such owner is here: the garbage collector would delete the child at any moment.
    manifest["metadata"].pop("ownerReferences", None)
    kind = WRITTEN[manifest["kind"]]
    written = await client.create(kind, namespace, manifest)
    assert not has_drifted(manifest["spec"], written["spec"])
    if kind in (DEPLOYMENT, SERVICE):
        manifest["metadata"]["uid"] = written["metadata"]["uid"]
        applied = await client.apply(kind, namespace, manifest["metadata"]["name"], manifest)
        assert applied["metadata"]["generation" if kind is DEPLOYMENT else "uid"] in (
            1,
            written["metadata"]["uid"],
        )
        assert not has_drifted(manifest["spec"], applied["spec"])


async def test_a_status_is_replaced_as_a_whole_and_an_equal_one_is_no_write(
    client: ApiClient, namespace: str
) -> None:
    created = await client.create(CONFIG_MAP, namespace, config_map("whole", a="1", b="2"))
    body = config_map("whole", a="1", b="2")
    body["metadata"]["uid"] = created["metadata"]["uid"]
    first = await client.apply(CONFIG_MAP, namespace, "whole", body)
    again = await client.apply(CONFIG_MAP, namespace, "whole", body)
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    managers = {entry["manager"] for entry in again["metadata"]["managedFields"]}
    assert managers == {MANAGER}


async def test_a_watch_tells_what_happened_after_a_list(client: ApiClient, namespace: str) -> None:
    scope = Scope(CONFIG_MAP, namespace, "watched")
    version = [page["metadata"]["resourceVersion"] async for page in client.list(scope)][-1]
    body = config_map("seen")
    body["metadata"]["labels"] = {"watched": ""}
    created = await client.create(CONFIG_MAP, namespace, body)
    await client.create(CONFIG_MAP, namespace, config_map("unseen"))
    await client.delete(CONFIG_MAP, namespace, "seen", created["metadata"]["uid"])
    seen: list[tuple[str, str]] = []
    async for event in client.watch(scope, version):
        seen.append((event["type"], event["object"]["metadata"]["name"]))
        if event["type"] == "DELETED":
            break
    assert seen == [("ADDED", "seen"), ("DELETED", "seen")]
    deleted = int(event["object"]["metadata"]["resourceVersion"])
    assert deleted > int(created["metadata"]["resourceVersion"])


async def test_an_object_that_loses_its_label_leaves_the_watch_with_a_newer_version(
    client: ApiClient, namespace: str
) -> None:
    scope = Scope(CONFIG_MAP, namespace, "labelled")
    body = config_map("loses")
    body["metadata"]["labels"] = {"labelled": ""}
    created = await client.create(CONFIG_MAP, namespace, body)
    version = created["metadata"]["resourceVersion"]
    target.kubectl(["label", "configmap", "loses", f"--namespace={namespace}", "labelled-"])
    async for event in client.watch(scope, version):
        if event["type"] != "BOOKMARK":
            assert event["type"] == "DELETED"
            assert int(event["object"]["metadata"]["resourceVersion"]) > int(version)
            return


async def test_a_status_is_not_written_to_a_model_made_anew(
    client: ApiClient, namespace: str
) -> None:
    first = await client.create(MODEL, namespace, model("made-anew"))
    await client.delete(MODEL, namespace, "made-anew", first["metadata"]["uid"])
    stale = {**model("made-anew"), "status": {"stage": "Stale"}}
    del stale["spec"]
    stale["metadata"]["resourceVersion"] = first["metadata"]["resourceVersion"]
    with pytest.raises((Conflict, NotFound)):
        await client.apply(MODEL, namespace, "made-anew", stale, sub="status")
    second = await client.create(MODEL, namespace, model("made-anew"))
    with pytest.raises(Conflict):
        await client.apply(MODEL, namespace, "made-anew", stale, sub="status")
    stale["metadata"]["resourceVersion"] = second["metadata"]["resourceVersion"]
    written = await client.apply(MODEL, namespace, "made-anew", stale, sub="status")
    assert written["status"] == {"stage": "Stale"}


async def test_long_names_are_taken_by_the_api_server(client: ApiClient, namespace: str) -> None:
    name = "a" + ".b" * 126
    created = await client.create(MODEL, namespace, model(name))
    assert created["metadata"]["name"] == name
    await client.delete(MODEL, namespace, name, created["metadata"]["uid"])
