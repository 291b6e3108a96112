import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from api_server import FakeApiServer
from objects import INSTALLATION, MODEL_UID, model
from waiting import until

from qmodel.api.conditions import ConditionStatus, ConditionType
from qmodel.api.resource import QuantizedModel
from qmodel.api.status import QuantizedModelStatus
from qmodel.cluster import reconciler as reconciling
from qmodel.cluster.children import Children
from qmodel.cluster.errors import Forbidden, Terminating, Unavailable
from qmodel.cluster.kinds import MODEL
from qmodel.cluster.queue import WorkQueue
from qmodel.cluster.reconciler import Reconciler
from qmodel.cluster.store import Store
from qmodel.planner.observed import InvalidModel, Observed
from qmodel.planner.plan import plan as real_plan
from qmodel.planner.wishes import Announcement, Plan, Remove, WantService
from qmodel.resources.build import build

Planner = Callable[[QuantizedModel, Observed, datetime], Plan]
FORBIDDEN = Forbidden("create", 403, "Forbidden", "exceeded quota")
UNAVAILABLE = Unavailable("create", 503, "ServiceUnavailable", "", retry_after_seconds=0.01)


class World:
    def __init__(self, plan: Planner) -> None:
        self.server = FakeApiServer()
        self.store = Store(INSTALLATION)
        self.queue = WorkQueue()
        children = Children(self.server, self.store, build)  # type: ignore[arg-type]
        self.reconciler = Reconciler(
            self.server,
            self.store,
            self.queue,
            children,
            plan,  # type: ignore[arg-type]
            "operator-1",
        )
        self.add(model())

    def add(self, body: dict[str, object]) -> None:
        self.store.put(MODEL, self.server.add(MODEL, body))

    async def reconcile(self) -> bool:
        self.server.calls.clear()
        return await self.reconciler.reconcile(MODEL_UID)

    @property
    def stage(self) -> object:
        return self.server.objects["QuantizedModel", "ns", "model"]["status"].get("stage")


def serving(model: QuantizedModel, observed: Observed, _: datetime) -> Plan:
    """Want one Service, and tell whether it is there or why not."""
    stage = "Waiting"
    if observed.refusals:
        stage = observed.refusals[0].reason
    elif observed.service is not None:
        stage = "Serving"
    news = (Announcement("Normal", stage, "m"),) if stage != model.status.stage else ()
    return Plan((WantService("model", "r1"),), QuantizedModelStatus(stage=stage), news)


async def test_a_pass_plans_on_what_it_wrote_and_writes_the_status_once() -> None:
    world = World(serving)
    await world.reconcile()
    assert world.server.calls == [
        "create Service/model",
        "apply status QuantizedModel/model",
        "create Event",
    ]
    assert world.stage == "Serving"


async def test_a_pass_that_changes_nothing_writes_nothing() -> None:
    world = World(serving)
    await world.reconcile()
    await world.reconcile()
    assert world.server.calls == []


async def test_the_status_is_written_though_a_child_was_refused() -> None:
    world = World(serving)
    world.server.fail["create Service/model"] = FORBIDDEN
    assert await world.reconcile()
    assert world.stage == "Forbidden"


async def test_a_refusal_is_forgotten_once_the_child_could_be_written() -> None:
    world = World(serving)
    world.server.fail["create Service/model"] = FORBIDDEN
    await world.reconcile()
    world.server.fail.clear()
    assert not await world.reconcile()
    assert world.stage == "Serving"


async def test_a_child_that_was_refused_for_long_is_still_tried_twice_a_minute() -> None:
    world = World(serving)
    world.server.fail["create Service/model"] = FORBIDDEN
    for _ in range(20):
        world.queue.fail(MODEL_UID)
    for timer in world.queue._timers.values():
        timer.cancel()
    world.queue._timers.clear()
    assert await world.reconciler._pass(MODEL_UID) == "refused"
    (timer,) = world.queue._timers.values()
    assert timer.when() - asyncio.get_running_loop().time() <= 30


async def test_the_status_is_written_though_the_api_server_failed() -> None:
    world = World(serving)
    world.server.fail["create Service/model"] = UNAVAILABLE
    with pytest.raises(Unavailable):
        await world.reconcile()
    assert world.stage == "Waiting"


async def test_a_planner_that_always_wants_more_is_stopped() -> None:
    def greedy(model: QuantizedModel, observed: Observed, now: datetime) -> Plan:
        del model, observed, now
        return Plan((Remove("Job", "x", "uid"),), QuantizedModelStatus(stage="Greedy"))

    world = World(greedy)
    await world.reconcile()
    assert world.server.calls.count("delete Job/x") == reconciling.MAX_ROUNDS
    assert await asyncio.wait_for(world.queue.take(), 1) == MODEL_UID


async def test_a_model_that_is_being_deleted_is_left_alone() -> None:
    world = World(serving)
    body = model()
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.add(body)
    await world.reconcile()
    assert world.server.calls == []


async def test_a_model_whose_namespace_goes_is_left_alone_without_a_word() -> None:
    world = World(serving)
    world.server.fail["create Service/model"] = Terminating(
        "create", 403, "Forbidden", "terminated"
    )
    world.queue.wake([MODEL_UID])
    running = asyncio.create_task(world.reconciler.run())
    await until(lambda: "create Service/model" in world.server.calls)
    running.cancel()
    assert world.server.calls == ["create Service/model"]


async def test_a_model_that_is_gone_is_left_alone() -> None:
    world = World(serving)
    world.store.forget(MODEL_UID)
    await world.reconcile()
    assert world.server.calls == []


async def test_a_status_planned_on_an_old_version_is_not_written() -> None:
    world = World(serving)
    edited = world.server.objects["QuantizedModel", "ns", "model"]
    world.server.add(MODEL, edited)
    await world.reconcile()
    assert world.stage is None
    world.store.put(MODEL, world.server.objects["QuantizedModel", "ns", "model"])
    await world.reconcile()
    assert world.stage == "Serving"


async def test_a_model_that_was_deleted_meanwhile_is_forgotten() -> None:
    world = World(serving)
    del world.server.objects["QuantizedModel", "ns", "model"]
    await world.reconcile()
    assert world.store.model(MODEL_UID) is None


async def test_an_invalid_spec_is_told_once() -> None:
    world = World(serving)
    body = model()
    body["spec"]["novelty"] = True
    world.add(body)
    await world.reconcile()
    found = world.store.model(MODEL_UID)
    assert isinstance(found, InvalidModel)
    for kind in (ConditionType.INSPECTED, ConditionType.READY):
        condition = found.status.condition(kind)
        assert condition is not None
        assert (condition.status, condition.reason) == (ConditionStatus.FALSE, "InvalidSpec")
        assert "spec.novelty" in condition.message
    assert world.server.calls == ["apply status QuantizedModel/model", "create Event"]
    (event,) = (o for (kind, *_), o in world.server.objects.items() if kind == "Event")
    assert (event["type"], event["reason"]) == ("Warning", "InvalidSpec")
    await world.reconcile()
    assert world.server.calls == []


async def test_an_event_says_which_process_it_is_of() -> None:
    world = World(serving)
    await world.reconcile()
    (event,) = (o for (kind, *_), o in world.server.objects.items() if kind == "Event")
    assert event["reportingInstance"] == "operator-1"


async def test_an_event_that_cannot_be_posted_stops_nothing() -> None:
    world = World(serving)
    world.server.fail["create Event"] = FORBIDDEN
    assert not await world.reconcile()
    assert world.stage == "Serving"


async def test_what_the_real_planner_writes_is_read_back_as_the_same() -> None:
    world = World(real_plan)
    await world.reconcile()
    written = world.store.model(MODEL_UID)
    assert written is not None
    world.store.forget(MODEL_UID)
    world.add(world.server.objects["QuantizedModel", "ns", "model"])
    read = world.store.model(MODEL_UID)
    assert read is not None
    assert read.status == written.status


async def test_workers_go_on_after_a_bug_in_one_pass(caplog: pytest.LogCaptureFixture) -> None:
    tries = 0

    def fragile(model: QuantizedModel, observed: Observed, now: datetime) -> Plan:
        nonlocal tries
        tries += 1
        if tries == 1:
            message = "a bug"
            raise ValueError(message)
        return serving(model, observed, now)

    world = World(fragile)
    world.queue.wake([MODEL_UID])
    running = asyncio.create_task(world.reconciler.run())
    await until(lambda: world.stage is not None)
    running.cancel()
    assert "a bug" in caplog.text


async def test_a_plan_can_ask_to_come_again() -> None:
    def patient(model: QuantizedModel, observed: Observed, now: datetime) -> Plan:
        del observed, now
        return Plan((), model.status, requeue_after=timedelta(milliseconds=10))

    world = World(patient)
    await world.reconcile()
    assert await asyncio.wait_for(world.queue.take(), 1) == MODEL_UID
