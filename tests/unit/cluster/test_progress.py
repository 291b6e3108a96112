import asyncio
from collections.abc import AsyncIterator

import pytest
from objects import INSTALLATION, MODEL_UID, job, model, pod, server_pod
from waiting import until

from qmodel.cluster import progress as following
from qmodel.cluster.errors import Refused, Unavailable
from qmodel.cluster.kinds import JOB, MODEL, POD
from qmodel.cluster.progress import ProgressFollower, coarse_percent
from qmodel.cluster.store import Store

RUNNING = {"name": "quantize", "state": {"running": {}}}


class World:
    """Pods with logs; as many streams as `breaks` says break off after the last line."""

    def __init__(self, *lines: bytes, breaks: int = 0) -> None:
        self.lines = lines
        self.breaks = breaks
        self.ends = asyncio.Event()
        self.reading = 0
        self.opened: list[str] = []
        self.woken: list[str] = []
        self.store = Store(INSTALLATION)
        self.store.put(MODEL, model())
        self.store.put(JOB, job())
        self.follower = ProgressFollower(self, self.store, self.woken.extend)  # type: ignore[arg-type]

    async def log(self, namespace: str, pod: str, container: str) -> AsyncIterator[bytes]:
        del namespace
        self.opened.append(f"{pod}/{container}")
        if not self.lines:
            raise Refused(pod, 400, "BadRequest", "no logs here")
        for line in self.lines:
            yield line
        if len(self.opened) <= self.breaks:
            raise Unavailable(pod, 0, "NoConnection", "the server went away")
        self.reading += 1
        try:
            await self.ends.wait()
        finally:
            self.reading -= 1

    async def see(self, body: dict[str, object]) -> None:
        self.store.put(POD, body)
        self.follower.pod_changed(body["metadata"]["uid"])  # type: ignore[index]
        await asyncio.sleep(0.05)

    @property
    def percent(self) -> int | None:
        found = self.store.model(MODEL_UID)
        assert found is not None
        return self.store.observed(found).jobs[0].progress_percent


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(following, "CATCH_UP_SECONDS", 0.01)
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.01)


def line(percent: int) -> bytes:
    return b'{"step":"quantize","percent":%d,"message":""}' % percent


async def test_progress_reaches_the_store_not_more_often_than_allowed() -> None:
    world = World(line(3), line(7), line(9), line(40), line(99))
    await world.see(pod(containerStatuses=[RUNNING]))
    assert world.percent == 95
    assert world.woken == [MODEL_UID]


async def test_after_a_restart_of_the_operator_the_whole_log_is_read_before_any_is_told() -> None:
    world = World(*map(line, range(84)))
    await world.see(pod(containerStatuses=[RUNNING]))
    assert world.percent == 80
    assert world.woken == [MODEL_UID]


async def test_the_last_step_is_told_once_that_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "INTERVAL_SECONDS", 0.1)
    told: list[int] = []
    teller = following._Teller(told.append)
    teller.take_in(40)
    await until(lambda: told == [40])
    for percent in (45, 50, 45, None):
        teller.take_in(percent)
    await asyncio.sleep(0.03)
    assert told == [40]
    await until(lambda: told == [40, 50])


async def test_a_log_that_breaks_off_is_opened_again_and_progress_never_goes_back() -> None:
    world = World(line(40), breaks=1)
    await world.see(pod(containerStatuses=[RUNNING]))
    assert world.opened == ["pod/quantize"] * 2
    assert world.percent == 40
    assert world.woken == [MODEL_UID]


async def test_a_log_that_ends_with_its_container_is_not_opened_again() -> None:
    world = World(line(40))
    await world.see(pod(containerStatuses=[RUNNING]))
    world.ends.set()
    await world.see(pod(phase="Succeeded"))
    assert world.opened == ["pod/quantize"]


async def test_the_log_of_a_pod_that_is_gone_is_let_go() -> None:
    world = World(line(40))
    await world.see(pod(containerStatuses=[RUNNING]))
    assert world.reading
    world.store.drop("uid-of-pod", 10**9)
    world.follower.pod_changed("uid-of-pod")
    await until(lambda: not world.reading)


async def test_a_container_is_followed_once() -> None:
    world = World(line(3))
    await world.see(pod(containerStatuses=[RUNNING]))
    await world.see(pod(containerStatuses=[RUNNING], message="changed"))
    assert world.opened == ["pod/quantize"]


async def test_a_node_without_logs_is_asked_once() -> None:
    world = World()
    await world.see(pod(containerStatuses=[RUNNING]))
    await world.see(pod(containerStatuses=[RUNNING], message="changed"))
    assert world.opened == ["pod/quantize"]


async def test_the_containers_of_a_pod_are_followed_one_after_another() -> None:
    world = World(line(3))
    await world.see(pod(initContainerStatuses=[RUNNING]))
    await world.see(pod(containerStatuses=[RUNNING | {"name": "evaluate"}]))
    assert world.opened == ["pod/quantize", "pod/evaluate"]


async def test_a_container_that_ends_soon_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "SETTLE_SECONDS", 0.03)
    world = World(line(3))
    body = pod(containerStatuses=[RUNNING])
    world.store.put(POD, body)
    world.follower.pod_changed("uid-of-pod")
    await world.see(pod(phase="Succeeded"))
    assert world.opened == []


async def test_servers_are_not_followed() -> None:
    world = World(line(3))
    await world.see(server_pod(containerStatuses=[RUNNING]))
    assert world.opened == []


async def test_stopping_ends_every_task() -> None:
    world = World(line(3))
    world.store.put(POD, pod(containerStatuses=[RUNNING]))
    world.follower.pod_changed("uid-of-pod")
    await world.follower.stop()
    assert world.opened == []


@pytest.mark.parametrize(
    ("text", "percent"),
    [
        (line(0), 0),
        (line(99), 95),
        (b"llama_model_loader: loaded", None),
        (b'{"step":"quantize"}', None),
        (b'{"step":"quantize","percent":101}', None),
        (b'{"step":"quantize","percent":5,"message":"' + b"x" * 5000 + b'"}', None),
        (b"", None),
    ],
)
def test_only_progress_lines_count(text: bytes, percent: int | None) -> None:
    assert coarse_percent(text) == percent
