import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from api_server import FakeApiServer
from objects import INSTALLATION, MODEL_UID, job, model
from waiting import until

from qmodel.cluster import informer as informing
from qmodel.cluster.errors import Forbidden, Gone, Unavailable
from qmodel.cluster.informer import Informer
from qmodel.cluster.kinds import JOB, MODEL, Scope
from qmodel.cluster.store import Store


class World:
    def __init__(self, *, optional: bool = False) -> None:
        self.server = FakeApiServer()
        self.store = Store(INSTALLATION)
        self.store.put(MODEL, model())
        self.woken: list[str] = []
        self.heard: list[str] = []
        self.informer = Informer(
            self.server,  # type: ignore[arg-type]
            self.store,
            self.woken.extend,
            Scope(JOB),
            heard=self.heard.append,
            optional=optional,
        )

    @property
    def names(self) -> list[str]:
        found = self.store.model(MODEL_UID)
        assert found is not None
        return [job.name for job in self.store.observed(found).jobs]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.informer.run())
        await asyncio.wait_for(self.informer.listed.wait(), 5)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informing, "RETRY_SECONDS", 0.01)


async def test_everything_that_exists_is_known_once_listed() -> None:
    world = World()
    for name in ("a", "b", "c"):
        world.server.add(JOB, job(name))
    async with world.running():
        assert world.names == ["a", "b", "c"]
    assert world.server.calls.count("list Job") == 1


async def test_events_are_taken_in() -> None:
    world = World()
    async with world.running():
        new = job("new")
        world.server.tell(JOB, "ADDED", new)
        await until(lambda: world.names == ["new"])
        world.server.tell(JOB, "DELETED", job("new"))
        await until(lambda: world.names == [])
    assert world.woken == [MODEL_UID, MODEL_UID]
    assert world.heard == ["uid-of-new", "uid-of-new"]


async def test_bookmarks_only_move_the_version() -> None:
    world = World()
    async with world.running():
        world.server.tell(JOB, "BOOKMARK", {"metadata": {"resourceVersion": "7777"}})
        world.server.end_watch(JOB, Unavailable("watch", 0, "NoConnection", ""))
        await until(lambda: world.server.calls.count("list Job") == 2)
    assert world.woken == []


async def test_what_was_deleted_while_nobody_watched_is_noticed() -> None:
    world = World()
    world.server.add(JOB, job("lost"))
    async with world.running():
        del world.server.objects["Job", "ns", "lost"]
        world.server.end_watch(JOB, Gone("watch", 410, "Expired", "too old"))
        await until(lambda: world.names == [])
    assert world.heard == ["uid-of-lost", "uid-of-lost"]
    assert world.woken[1:] == [MODEL_UID]


async def test_a_failing_api_server_is_asked_again_and_counted_as_deaf_meanwhile() -> None:
    world = World()
    world.server.fail["list Job"] = Unavailable("list", 503, "ServiceUnavailable", "")
    task = asyncio.create_task(world.informer.run())
    await until(lambda: world.informer.failing_since is not None)
    world.server.fail.clear()
    await asyncio.wait_for(world.informer.listed.wait(), 5)
    assert world.informer.failing_since is None
    task.cancel()


async def test_nodes_are_done_without_where_rbac_forbids_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What follows them goes on, as a part of the operator that ends would end it all."""
    monkeypatch.setattr(informing, "FORBIDDEN_SECONDS", 0.01)
    world = World(optional=True)
    world.server.fail["list Job"] = Forbidden("list", 403, "Forbidden", "nodes")
    world.server.add(JOB, job("a"))
    async with world.running():
        assert world.names == []
        world.server.fail.clear()
        await until(lambda: world.names == ["a"])


async def test_everything_else_is_needed() -> None:
    world = World()
    world.server.fail["list Job"] = Forbidden("list", 403, "Forbidden", "jobs")
    task = asyncio.create_task(world.informer.run())
    await until(lambda: world.server.calls.count("list Job") > 1)
    assert not world.informer.listed.is_set()
    task.cancel()
