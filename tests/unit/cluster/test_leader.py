import asyncio

import pytest
from api_server import FakeApiServer

from qmodel.cluster import leader
from qmodel.cluster.errors import Unavailable
from qmodel.cluster.kinds import LEASE
from qmodel.cluster.leader import Leadership
from qmodel.naming import MANAGER

BROKEN = Unavailable("get", 0, "NoConnection", "")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(leader, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(leader, "LEASE_SECONDS", 1)


def holder(server: FakeApiServer) -> object:
    return server.objects["Lease", "ns", MANAGER]["spec"]["holderIdentity"]


async def lead(server: FakeApiServer, name: str) -> Leadership:
    found = Leadership(server, "ns", name)  # type: ignore[arg-type]
    await asyncio.wait_for(found.acquire(), 5)
    return found


async def test_the_first_makes_the_lease() -> None:
    server = FakeApiServer()
    await lead(server, "first")
    assert holder(server) == "first"


async def test_a_second_waits_until_the_first_releases() -> None:
    server = FakeApiServer()
    first = await lead(server, "first")
    second = asyncio.create_task(lead(server, "second"))
    await asyncio.sleep(0.05)
    assert not second.done()
    await first.release()
    await second
    assert holder(server) == "second"


async def test_a_leader_that_died_is_followed_once_its_lease_expired() -> None:
    server = FakeApiServer()
    await lead(server, "first")
    second = asyncio.create_task(lead(server, "second"))
    await asyncio.sleep(0.5)
    assert not second.done()
    await asyncio.wait_for(second, 5)
    assert server.objects["Lease", "ns", MANAGER]["spec"]["leaseTransitions"] == 2


async def test_a_leader_holds_its_lease_against_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "LEASE_SECONDS", 3)  # busy cores may pause it for a second
    server = FakeApiServer()
    first = await lead(server, "first")
    held = asyncio.create_task(first.hold())
    second = asyncio.create_task(lead(server, "second"))
    await asyncio.sleep(3.3)
    assert not held.done()
    assert not second.done()
    held.cancel()
    second.cancel()


async def test_a_leader_that_cannot_renew_gives_up() -> None:
    server = FakeApiServer()
    first = await lead(server, "first")
    server.fail[f"get Lease/{MANAGER}"] = BROKEN
    await asyncio.wait_for(first.hold(), 5)


async def test_a_leader_whose_request_hangs_gives_up_before_its_lease_ends() -> None:
    server = FakeApiServer()
    first = await lead(server, "first")

    async def hang(*_: object) -> dict[str, object]:
        await asyncio.sleep(60)
        raise AssertionError

    server.get = hang  # type: ignore[assignment, method-assign]
    await asyncio.wait_for(first.hold(), leader.LEASE_SECONDS / 2)


async def test_a_short_failure_loses_nothing() -> None:
    server = FakeApiServer()
    first = await lead(server, "first")
    server.fail[f"get Lease/{MANAGER}"] = BROKEN
    held = asyncio.create_task(first.hold())
    await asyncio.sleep(0.03)
    server.fail.clear()
    await asyncio.sleep(0.2)
    assert not held.done()
    held.cancel()


async def test_a_lease_that_another_took_is_not_released() -> None:
    server = FakeApiServer()
    first = await lead(server, "first")
    server.objects["Lease", "ns", MANAGER]["spec"]["holderIdentity"] = "second"
    await first.release()
    assert holder(server) == "second"


async def test_a_candidate_that_was_too_slow_does_not_lead() -> None:
    server = FakeApiServer()
    slow = Leadership(server, "ns", "slow")  # type: ignore[arg-type]
    lease = server.add(LEASE, {"metadata": {"name": MANAGER, "namespace": "ns"}, "spec": {}})
    get = server.get

    async def get_then_lose(*arguments: object) -> dict[str, object]:
        found = await get(*arguments)  # type: ignore[arg-type]
        lease["spec"] = {"holderIdentity": "fast", "leaseDurationSeconds": 15}
        server.add(LEASE, lease)
        return found

    server.get = get_then_lose  # type: ignore[assignment, method-assign]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(slow.acquire(), 0.1)
    assert holder(server) == "fast"
