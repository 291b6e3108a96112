import asyncio

import pytest

from qmodel.cluster import queue as work_queue
from qmodel.cluster.queue import WorkQueue


async def take(queue: WorkQueue) -> str:
    return await asyncio.wait_for(queue.take(), 1)


async def is_empty(queue: WorkQueue) -> bool:
    try:
        await asyncio.wait_for(queue.take(), 0.01)
    except TimeoutError:
        return True
    return False


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(work_queue, "FIRST_RETRY_SECONDS", 0.02)


async def test_a_key_stands_in_line_once() -> None:
    queue = WorkQueue()
    queue.wake(["a", "b"])
    queue.wake(["a"])
    assert [await take(queue), await take(queue)] == ["a", "b"]
    assert await is_empty(queue)


async def test_a_key_is_never_worked_on_twice_at_once_but_again_afterwards() -> None:
    queue = WorkQueue()
    queue.wake(["a"])
    key = await take(queue)
    queue.wake(["a"])
    assert await is_empty(queue)
    queue.done(key)
    assert await take(queue) == "a"


async def test_between_two_passes_lies_a_pause() -> None:
    queue = WorkQueue()
    loop = asyncio.get_running_loop()
    queue.wake(["a"])
    queue.done(await take(queue))
    ended = loop.time()
    queue.wake(["a"])
    await take(queue)
    assert loop.time() - ended >= work_queue.PAUSE_SECONDS / 2


async def test_a_later_wake_does_not_delay_an_earlier_one() -> None:
    queue = WorkQueue()
    queue.wake_after("a", 0.01)
    queue.wake_after("a", 100)
    assert await take(queue) == "a"


async def test_an_earlier_wake_comes_before_a_later_one() -> None:
    queue = WorkQueue()
    queue.wake_after("a", 100)
    queue.wake(["a"])
    assert await take(queue) == "a"
    queue.done("a")
    await asyncio.sleep(0.05)
    assert await is_empty(queue)


async def test_a_timer_that_fires_during_the_work_is_not_lost() -> None:
    queue = WorkQueue()
    queue.wake(["a"])
    key = await take(queue)
    queue.wake_after("a", 0.01)
    await asyncio.sleep(0.03)
    queue.done(key)
    assert await take(queue) == "a"


async def test_failures_delay_longer_each_time_until_one_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = WorkQueue()
    delays: list[float] = []
    monkeypatch.setattr(queue, "wake_after", lambda _, seconds: delays.append(seconds))
    for _ in range(3):
        queue.fail("a")
    queue.succeed("a")
    queue.fail("a")
    first = work_queue.FIRST_RETRY_SECONDS
    assert delays == [first, 2 * first, 4 * first, first]


async def test_a_failure_waits_as_long_as_was_asked_and_no_longer_than_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = WorkQueue()
    delays: list[float] = []
    monkeypatch.setattr(queue, "wake_after", lambda _, seconds: delays.append(seconds))
    queue.fail("a", least_seconds=30)
    for _ in range(20):
        queue.fail("a", most_seconds=10)
    assert (delays[0], delays[-1]) == (30, 10)


async def test_the_delay_is_bounded() -> None:
    queue = WorkQueue()
    for _ in range(2000):
        queue.fail("a")
    queue.wake(["a"])
    assert await take(queue) == "a"


async def test_nothing_is_kept_of_keys_that_do_not_come_again() -> None:
    queue = WorkQueue()
    queue.wake(["a"])
    key = await take(queue)
    queue.fail(key)
    queue.succeed(key)
    queue.done(key)
    await asyncio.sleep(2 * work_queue.PAUSE_SECONDS)
    assert (queue._rested, queue._failures) == ({}, {})


async def test_some_keys_in_line_can_be_put_behind_the_others() -> None:
    queue = WorkQueue()
    queue.wake(["ready 1", "new 1", "ready 2", "new 2"])
    queue.put_last(lambda key: key.startswith("ready"))
    queue.wake(["later", "new 1"])
    order = [await take(queue) for _ in range(5)]
    assert order == ["new 1", "new 2", "ready 1", "ready 2", "later"]
