"""The operator's process against a real API server: what it writes, and what it leaves alone.

Its images are pulled from nowhere, so that a model stays at its first step, where everything that
the operator does to the cluster can be seen.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from bench.operator_process import PORT, OperatorProcess
from cluster import target
from qmodel.cluster.client import ApiClient
from qmodel.cluster.credentials import load
from qmodel.cluster.errors import NotFound
from qmodel.cluster.kinds import JOB, LEASE, MODEL, Scope
from qmodel.naming import MANAGER, MODEL_UID_LABEL

Object = dict[str, Any]
SECONDS = 45
EXIT_SECONDS = 2.0


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Wait until something holds of the cluster."""
    async with asyncio.timeout(SECONDS):
        while not await holds():  # noqa: ASYNC110  another process brings it about
            await asyncio.sleep(0.05)


class World:
    """One namespace, and an operator that serves it."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self.operator = OperatorProcess([namespace])

    async def post(self, name: str = "model", **spec: Any) -> Object:
        source = {"huggingFace": {"repository": "owner/name"}}
        body = {
            "apiVersion": "qmodel.dev/v1alpha1",
            "kind": "QuantizedModel",
            "metadata": {"name": name},
            "spec": {"source": source, "quantization": {"method": "GGUF"}, **spec},
        }
        return await self.client.create(MODEL, self.namespace, body)

    async def model(self, name: str = "model") -> Object:
        return await self.client.get(MODEL, self.namespace, name)

    async def jobs(self) -> list[Object]:
        scope = Scope(JOB, self.namespace, MODEL_UID_LABEL)
        return [body async for page in self.client.list(scope) for body in page["items"]]

    async def job(self) -> Object:
        """Wait for the first Job."""
        await until(self.jobs)
        return (await self.jobs())[0]

    async def has_no_jobs(self) -> bool:
        return not await self.jobs()

    async def inspected(self, holds: Callable[[Object], bool], name: str = "model") -> Object:
        """Wait until a condition holds of the condition Inspected."""
        found: list[Object] = []

        async def is_so() -> bool:
            conditions = (await self.model(name)).get("status", {}).get("conditions", ())
            found[:] = [c for c in conditions if c["type"] == "Inspected" and holds(c)]
            return bool(found)

        await until(is_so)
        return found[0]


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    client = ApiClient(await load())
    namespace = f"qmodel-test-{uuid4().hex[:6]}"
    await asyncio.to_thread(target.kubectl, ["create", "namespace", namespace])
    found = World(client, namespace)
    try:
        async with found.operator:
            yield found
    finally:
        words = ["delete", "namespace", namespace, "--wait=false"]
        await asyncio.to_thread(target.kubectl, words)
        await client.close()


@pytest.mark.timeout(120)
async def test_a_model_gets_its_first_job_and_a_status_and_nothing_else_is_touched(
    world: World,
) -> None:
    posted = await world.post()
    job = await world.job()
    condition = await world.inspected(lambda c: bool(c["reason"]))
    assert condition["observedGeneration"] == 1
    assert job["metadata"]["ownerReferences"][0]["uid"] == posted["metadata"]["uid"]
    found = await world.model()
    assert found["spec"] == posted["spec"]
    for field in ("annotations", "labels", "finalizers"):
        assert field not in found["metadata"]
    written = {e["manager"] for e in found["metadata"]["managedFields"] if e.get("subresource")}
    assert written == {MANAGER}


@pytest.mark.timeout(120)
async def test_a_deleted_job_comes_back(world: World) -> None:
    await world.post()
    lost = await world.job()
    meta = lost["metadata"]
    await world.client.delete(JOB, world.namespace, meta["name"], meta["uid"])

    async def is_back() -> bool:
        return any(job["metadata"]["uid"] != meta["uid"] for job in await world.jobs())

    await until(is_back)


@pytest.mark.timeout(180)
async def test_a_killed_operator_does_nothing_twice(world: World) -> None:
    await world.post()
    before = await world.job()
    world.operator.kill(signal.SIGKILL)
    await world.operator.start()
    await world.post("another")

    async def are_two() -> bool:
        return len(await world.jobs()) >= 2

    await until(are_two)
    uids = [job["metadata"]["uid"] for job in await world.jobs()]
    assert before["metadata"]["uid"] in uids
    assert len(uids) == 2


@pytest.mark.timeout(180)
async def test_a_job_of_that_name_that_is_another_owners_is_refused_and_kept(
    world: World,
) -> None:
    first = await world.post()
    name = (await world.job())["metadata"]["name"]
    await world.client.delete(MODEL, world.namespace, "model", first["metadata"]["uid"])
    await until(world.has_no_jobs)
    container = {"name": "c", "image": "registry.invalid/other:1"}
    template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    foreign = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": template, "suspend": True},
    }
    made = await world.client.create(JOB, world.namespace, foreign)
    await world.post()
    condition = await world.inspected(lambda c: c["reason"] == "NameTaken")
    assert name in condition["message"]
    kept = await world.client.get(JOB, world.namespace, name)
    assert kept["metadata"]["uid"] == made["metadata"]["uid"]
    await world.client.delete(JOB, world.namespace, name, made["metadata"]["uid"])
    await world.inspected(lambda c: c["reason"] != "NameTaken")


@pytest.mark.timeout(120)
async def test_deleting_a_model_hangs_on_nothing_and_takes_its_jobs(world: World) -> None:
    posted = await world.post()
    await world.job()
    world.operator.kill(signal.SIGTERM)
    await world.client.delete(MODEL, world.namespace, "model", posted["metadata"]["uid"])
    with pytest.raises(NotFound):
        await world.model()
    await until(world.has_no_jobs)


@pytest.mark.timeout(120)
async def test_models_of_other_namespaces_are_left_alone(world: World) -> None:
    served = world.namespace
    world.namespace = "default"
    posted = await world.post(f"elsewhere-{uuid4().hex[:6]}")
    world.namespace = served
    await world.post()
    await world.job()
    meta = posted["metadata"]
    found = await world.client.get(MODEL, "default", meta["name"])
    await world.client.delete(MODEL, "default", meta["name"], meta["uid"])
    assert "status" not in found


@pytest.mark.timeout(120)
async def test_it_ends_soon_after_being_told(world: World) -> None:
    await world.post()
    await world.job()
    started = time.monotonic()
    assert world.operator.kill(signal.SIGTERM) == 0
    assert time.monotonic() - started < EXIT_SECONDS


@pytest.mark.timeout(180)
async def test_of_two_replicas_one_works_and_the_other_follows(world: World) -> None:
    elected = ["--leader-elect"]
    os.environ["POD_NAMESPACE"] = world.namespace
    world.operator.kill(signal.SIGTERM)
    first = OperatorProcess([world.namespace], elected, PORT + 1)
    second = OperatorProcess([world.namespace], elected, PORT + 2)
    async with first, second.waiting():
        lease = await world.client.get(LEASE, world.namespace, MANAGER)
        await world.post()
        await world.job()
        assert not second.is_serving()
        first.kill(signal.SIGTERM)

        async def is_followed() -> bool:
            return second.is_serving()

        await until(is_followed)
        followed = await world.client.get(LEASE, world.namespace, MANAGER)
    os.environ.pop("POD_NAMESPACE")
    assert followed["spec"]["holderIdentity"] != lease["spec"]["holderIdentity"]
