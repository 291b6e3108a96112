"""What is no longer wanted of a child goes, and what others hold of it stays, on a real API server.

Children are created by one request and applied to by others, and the API server removes only what
nobody holds any more: see `qmodel.cluster.ownership`.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from cluster import target
from qmodel.api.base import KIND
from qmodel.api.resource import QuantizedModel
from qmodel.api.serving import AccessMode
from qmodel.cluster.children import Children
from qmodel.cluster.client import ApiClient
from qmodel.cluster.credentials import load
from qmodel.cluster.drift import has_drifted
from qmodel.cluster.errors import Conflict
from qmodel.cluster.kinds import CLAIM, DEPLOYMENT, MODEL, SERVICE, Kind
from qmodel.cluster.store import Store
from qmodel.naming import MANAGER, REVISION_LABEL, VERSION_ANNOTATION
from qmodel.planner.installation import Installation
from qmodel.planner.wishes import WantClaim, WantDeployment, WantService, Wish
from qmodel.resources.build import build
from qmodel.settings import OPERATOR_VERSION
from unit.planner.values import images
from unit.resources.wishes import GPU_ROLLOUT, ROLLOUT

Object = dict[str, Any]
VOLUME = WantClaim("volume", 2**20, None, AccessMode.READ_WRITE_ONCE, owned=True)
KEPT = replace(VOLUME, owned=False)
ON_GPUS = WantDeployment("servers", GPU_ROLLOUT, 0)
ON_CPU = WantDeployment("servers", ROLLOUT, 0)
TRIES = 5


class World:
    """A model of a namespace, and who writes its children; nobody else does."""

    def __init__(
        self, client: ApiClient, namespace: str, model: QuantizedModel, store: Store
    ) -> None:
        self.client = client
        self.namespace = namespace
        self.model = model
        self.store = store
        self._children = Children(client, store, build)

    async def fulfil(self, wish: Wish) -> bool:
        """Do what a wish asks for; again if a controller changed the child meanwhile."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(Conflict):
                return await self._children.fulfil(self.model, wish)
        return await self._children.fulfil(self.model, wish)

    async def apply_as_before(self, kind: Kind, wish: WantClaim | WantDeployment) -> None:
        """Apply without handing over what the creation holds, as once was done."""
        body = build(self.model, wish, OPERATOR_VERSION)
        self.store.put(kind, await self.client.apply(kind, self.namespace, wish.name, body))

    async def get(self, kind: Kind, name: str) -> Object:
        return await self.client.get(kind, self.namespace, name)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    client = ApiClient(await load())
    namespace = f"qmodel-test-{uuid4().hex[:6]}"
    await asyncio.to_thread(target.kubectl, ["create", "namespace", namespace])
    body = {
        "apiVersion": MODEL.api_version,
        "kind": KIND,
        "metadata": {"name": "model"},
        "spec": {
            "source": {"huggingFace": {"repository": "owner/name"}},
            "quantization": {"method": "GGUF"},
            "suspend": True,
        },
    }
    try:
        made = await client.create(MODEL, namespace, body)
        store = Store(Installation(images(), "https://hub.test"))
        store.put(MODEL, made)
        model = store.model(made["metadata"]["uid"])
        assert isinstance(model, QuantizedModel)
        yield World(client, namespace, model, store)
    finally:
        words = ["delete", "namespace", namespace, "--wait=false"]
        await asyncio.to_thread(target.kubectl, words)
        await client.close()


def operations(found: Object, manager: str = MANAGER) -> list[str]:
    """Return by which operations a manager holds fields of an object."""
    managed = found["metadata"]["managedFields"]
    return [each["operation"] for each in managed if each["manager"] == manager]


@pytest.mark.timeout(60)
async def test_a_volume_that_shall_stay_loses_its_owner_and_gets_it_back(world: World) -> None:
    await world.fulfil(VOLUME)
    assert (await world.get(CLAIM, "volume"))["metadata"]["ownerReferences"]
    assert await world.fulfil(KEPT)
    assert "ownerReferences" not in (await world.get(CLAIM, "volume"))["metadata"]
    assert not await world.fulfil(KEPT)
    assert await world.fulfil(VOLUME)
    (owner,) = (await world.get(CLAIM, "volume"))["metadata"]["ownerReferences"]
    assert owner["uid"] == world.model.uid


@pytest.mark.timeout(60)
async def test_a_volume_that_was_left_its_owner_loses_it(world: World) -> None:
    await world.fulfil(VOLUME)
    await world.apply_as_before(CLAIM, KEPT)
    assert (await world.get(CLAIM, "volume"))["metadata"]["ownerReferences"]
    assert await world.fulfil(KEPT)
    found = await world.get(CLAIM, "volume")
    assert "ownerReferences" not in found["metadata"]
    assert operations(found) == ["Apply"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("was_applied_to", [False, True])
async def test_what_is_no_longer_wanted_of_servers_goes(
    world: World,
    was_applied_to: bool,  # noqa: FBT001
) -> None:
    await world.fulfil(ON_GPUS)
    if was_applied_to:
        await world.apply_as_before(DEPLOYMENT, ON_GPUS)
    assert await world.fulfil(ON_CPU)
    found = await world.get(DEPLOYMENT, "servers")
    template = found["spec"]["template"]
    (server,) = template["spec"]["containers"]
    for amounts in server["resources"].values():
        assert GPU_ROLLOUT.accelerator.resource_name not in amounts
    wanted = build(world.model, ON_CPU, OPERATOR_VERSION)["spec"]
    assert template["metadata"]["labels"] == wanted["template"]["metadata"]["labels"]
    assert "note" not in template["metadata"].get("annotations", {})
    for field in ("nodeSelector", "tolerations", "priorityClassName"):
        assert field not in template["spec"]
    assert template["spec"]["affinity"] == wanted["template"]["spec"]["affinity"]
    assert not has_drifted(wanted, found["spec"])
    assert not await world.fulfil(ON_CPU)
    assert operations(found) == ["Apply"]


@pytest.mark.timeout(60)
async def test_what_others_hold_of_a_child_stays(world: World) -> None:
    await world.fulfil(ON_GPUS)
    words = ["annotate", "deployment", "servers", "note=kept", f"--namespace={world.namespace}"]
    await asyncio.to_thread(target.kubectl, [*words, "--field-manager=somebody"])
    assert await world.fulfil(ON_CPU)
    found = await world.get(DEPLOYMENT, "servers")
    assert found["metadata"]["annotations"]["note"] == "kept"
    assert operations(found, "somebody") == ["Update"]


@pytest.mark.timeout(60)
async def test_an_address_of_another_version_leads_to_the_servers_again(world: World) -> None:
    await world.fulfil(WantService("address", "one"))
    before = await world.get(SERVICE, "address")
    edit = {
        "metadata": {"annotations": {VERSION_ANNOTATION: "0.0.1"}},
        "spec": {"selector": {REVISION_LABEL: "edited"}},
    }
    words = ["patch", "service", "address", f"--namespace={world.namespace}", "--type=merge"]
    await asyncio.to_thread(target.kubectl, [*words, f"--patch={json.dumps(edit)}"])
    world.store.put(SERVICE, await world.get(SERVICE, "address"))
    assert await world.fulfil(WantService("address", "one"))
    after = await world.get(SERVICE, "address")
    assert after["spec"] == before["spec"]
    assert not await world.fulfil(WantService("address", "one"))
    assert await world.fulfil(WantService("address", "another"))
    assert operations(await world.get(SERVICE, "address")) == ["Apply"]


@pytest.mark.timeout(60)
async def test_a_service_keeps_its_address_when_it_moves(world: World) -> None:
    await world.fulfil(WantService("address", "one"))
    before = await world.get(SERVICE, "address")
    assert await world.fulfil(WantService("address", "another"))
    after = await world.get(SERVICE, "address")
    assert after["spec"]["clusterIP"] == before["spec"]["clusterIP"]
    assert after["spec"]["selector"] != before["spec"]["selector"]
    assert operations(after) == ["Apply"]
