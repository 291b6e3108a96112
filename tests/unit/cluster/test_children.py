from dataclasses import replace

import pytest
from api_server import FakeApiServer
from objects import INSTALLATION, MODEL_UID, Object, model, pod

from qmodel.api.methods import Method
from qmodel.api.resource import QuantizedModel
from qmodel.api.serving import AccessMode
from qmodel.cluster.children import Children, refusal
from qmodel.cluster.errors import BeingDeleted, Conflict, Forbidden, NameTaken, Unavailable
from qmodel.cluster.kinds import CLAIM, DEPLOYMENT, JOB, MODEL, POD, SERVICE, Kind
from qmodel.cluster.store import Store
from qmodel.naming import VERSION_ANNOTATION
from qmodel.planner.containers import Container, Step
from qmodel.planner.wishes import Remove, WantClaim, WantContainer, WantJob, WantService
from qmodel.resources.build import build
from qmodel.settings import OPERATOR_VERSION
from qmodel.worker.task import FolderSource, InspectTask
from unit.resources.wishes import WISHES

TASK = InspectTask(source=FolderSource(path="/source"), method=Method.GGUF)
SERVICE_WISH = WantService("model", "r1")
JOB_WISH = WantJob(
    name="job",
    step=Step.INSPECT,
    key="k",
    attempt=1,
    revision="",
    containers=(WantContainer(Container.INSPECT, "operator:1", TASK, 2**28, "100m"),),
    timeout_seconds=60,
)


class World:
    def __init__(self) -> None:
        self.server = FakeApiServer()
        self.store = Store(INSTALLATION)
        self.store.put(MODEL, self.server.add(MODEL, model()))
        found = self.store.model(MODEL_UID)
        assert isinstance(found, QuantizedModel)
        self.model = found
        self.children = Children(self.server, self.store, build)  # type: ignore[arg-type]


@pytest.fixture
def world() -> World:
    return World()


async def test_an_absent_child_is_created_once_and_known_at_once(world: World) -> None:
    assert await world.children.fulfil(world.model, SERVICE_WISH)
    assert not await world.children.fulfil(world.model, SERVICE_WISH)
    assert world.server.calls == ["create Service/model"]


async def test_a_changed_wish_is_applied_to_the_observed_object(world: World) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    assert await world.children.fulfil(world.model, WantService("model", "r2"))
    assert world.server.calls[-1] == "apply Service/model"
    observed = world.store.observed(world.model)
    assert observed.service is not None
    assert observed.service.revision == "r2"


async def test_what_someone_changed_is_applied_again(world: World) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    found = world.server.objects["Service", "ns", "model"]
    world.store.put(SERVICE, world.server.add(SERVICE, {**found, "spec": {"selector": {}}}))
    assert await world.children.fulfil(world.model, SERVICE_WISH)
    assert world.server.calls[-1] == "apply Service/model"


async def test_what_a_webhook_changes_back_is_not_taken_for_a_change(world: World) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    found = world.server.objects["Service", "ns", "model"]
    mutated = world.server.add(SERVICE, {**found, "spec": {"selector": {}}})
    world.store.put(SERVICE, mutated)

    async def unchanged(*_: object) -> dict[str, object]:
        return mutated

    world.server.apply = unchanged  # type: ignore[assignment, method-assign]
    assert not await world.children.fulfil(world.model, SERVICE_WISH)


def written_by_another_version(world: World, kind: Kind, name: str, **spec: object) -> Object:
    """Let a child be of another version, and have fields that it had not."""
    found = world.server.objects[kind.name, "ns", name]
    found["metadata"]["annotations"][VERSION_ANNOTATION] = "0.0.1"
    found = world.server.add(kind, {**found, "spec": {**found["spec"], **spec}})
    world.store.put(kind, found)
    return found


SERVERS = WISHES["deployment"]
PORTS = [{"name": "http", "port": 80, "targetPort": "http"}]


async def test_what_another_version_wrote_is_left_alone(world: World) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    more = [*PORTS, {"name": "more", "port": 81, "targetPort": 81}]
    written_by_another_version(world, SERVICE, "model", type="NodePort", ports=more)
    await world.children.fulfil(world.model, SERVERS)
    written_by_another_version(world, DEPLOYMENT, SERVERS.name, template={}, strategy={})
    assert not await world.children.fulfil(world.model, SERVICE_WISH)
    assert not await world.children.fulfil(world.model, SERVERS)


async def test_servers_of_another_version_are_scaled_back_and_not_restarted(world: World) -> None:
    await world.children.fulfil(world.model, SERVERS)
    before = written_by_another_version(world, DEPLOYMENT, SERVERS.name, replicas=0, template={})
    assert await world.children.fulfil(world.model, SERVERS)
    assert world.server.calls[-1] == f"patch Deployment/{SERVERS.name}"
    found = world.server.objects["Deployment", "ns", SERVERS.name]
    wanted = build(world.model, SERVERS, OPERATOR_VERSION)["spec"]
    assert found["spec"] == {**before["spec"], "replicas": wanted["replicas"]}
    assert not await world.children.fulfil(world.model, SERVERS)


@pytest.mark.parametrize("edited", [{"selector": {}}, {"ports": [{**PORTS[0], "port": 81}]}])
async def test_an_address_of_another_version_leads_to_the_servers_again(
    world: World, edited: dict[str, object]
) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    written_by_another_version(world, SERVICE, "model", **edited)
    assert await world.children.fulfil(world.model, SERVICE_WISH)
    found = world.server.objects["Service", "ns", "model"]
    assert found["spec"] == build(world.model, SERVICE_WISH, OPERATOR_VERSION)["spec"]
    assert not await world.children.fulfil(world.model, SERVICE_WISH)


async def test_what_was_set_right_is_handed_over_before_the_next_apply(world: World) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    await world.children.fulfil(world.model, WantService("model", "r2"))
    written_by_another_version(world, SERVICE, "model", selector={})
    await world.children.fulfil(world.model, WantService("model", "r2"))
    assert await world.children.fulfil(world.model, WantService("model", "r3"))
    calls = [call.split()[0] for call in world.server.calls[-4:]]
    assert calls == ["patch", "get", "patch", "apply"]
    found = world.server.objects["Service", "ns", "model"]
    assert [e["operation"] for e in found["metadata"]["managedFields"]] == ["Apply"]


async def test_what_changed_meanwhile_is_not_set_right_on_old_news(world: World) -> None:
    await world.children.fulfil(world.model, SERVERS)
    seen = written_by_another_version(world, DEPLOYMENT, SERVERS.name, replicas=0)
    world.server.add(DEPLOYMENT, seen)
    with pytest.raises(Conflict):
        await world.children.fulfil(world.model, SERVERS)


async def test_an_object_that_was_made_anew_is_not_overwritten(world: World) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    found = world.server.objects["Service", "ns", "model"]
    found["metadata"]["uid"] = "another"
    with pytest.raises(Conflict):
        await world.children.fulfil(world.model, WantService("model", "r2"))
    assert world.store.observed(world.model).service is None


@pytest.mark.parametrize(
    "owners",
    [
        [],
        [{"kind": "StatefulSet", "name": "db", "uid": "u", "controller": True}],
        [{"kind": "QuantizedModel", "name": "m", "uid": "another model", "controller": True}],
    ],
)
async def test_an_object_of_another_owner_is_refused(world: World, owners: list[object]) -> None:
    body = {"metadata": {"name": "model", "namespace": "ns", "ownerReferences": owners}, "spec": {}}
    world.server.add(SERVICE, body)
    with pytest.raises(NameTaken, match="exists and belongs to") as caught:
        await world.children.fulfil(world.model, SERVICE_WISH)
    assert refusal(SERVICE_WISH, caught.value).reason == "NameTaken"
    assert world.server.objects["Service", "ns", "model"]["spec"] == {}


async def test_a_child_that_the_store_missed_is_taken_in(world: World) -> None:
    await world.children.fulfil(world.model, JOB_WISH)
    uid = world.server.objects["Job", "ns", "job"]["metadata"]["uid"]
    world.store.forget(uid)
    fresh = World()
    fresh.server.objects = world.server.objects
    assert await fresh.children.fulfil(fresh.model, JOB_WISH)
    assert fresh.server.calls == ["create Job/job", "get Job/job"]
    assert [job.uid for job in fresh.store.observed(fresh.model).jobs] == [uid]


CLAIM_WISH = WantClaim("claim", 2**30, None, AccessMode.READ_WRITE_ONCE, owned=True)


async def test_a_volume_that_shall_stay_loses_its_owner(world: World) -> None:
    await world.children.fulfil(world.model, CLAIM_WISH)
    assert await world.children.fulfil(world.model, replace(CLAIM_WISH, owned=False))
    found = world.server.objects["PersistentVolumeClaim", "ns", "claim"]
    assert not found["metadata"].get("ownerReferences")
    assert await world.children.fulfil(world.model, CLAIM_WISH)
    found = world.server.objects["PersistentVolumeClaim", "ns", "claim"]
    assert [each["uid"] for each in found["metadata"]["ownerReferences"]] == [MODEL_UID]


async def test_a_volume_that_shall_stay_and_was_left_its_owner_loses_it(world: World) -> None:
    await world.children.fulfil(world.model, CLAIM_WISH)
    kept = replace(CLAIM_WISH, owned=False)
    found = world.server.objects["PersistentVolumeClaim", "ns", "claim"]
    built = build(world.model, kept, OPERATOR_VERSION)
    found["metadata"]["annotations"] = built["metadata"]["annotations"]
    world.store.put(CLAIM, world.server.add(CLAIM, found))
    assert await world.children.fulfil(world.model, kept)
    assert not await world.children.fulfil(world.model, kept)
    found = world.server.objects["PersistentVolumeClaim", "ns", "claim"]
    assert not found["metadata"].get("ownerReferences")


async def test_what_is_no_longer_wanted_of_a_deployment_goes(world: World) -> None:
    await world.children.fulfil(world.model, WISHES["deployment-on-gpu"])
    assert await world.children.fulfil(world.model, WISHES["deployment"])
    (found,) = (o for (kind, *_), o in world.server.objects.items() if kind == "Deployment")
    wanted = build(world.model, WISHES["deployment"], OPERATOR_VERSION)
    assert found["spec"] == wanted["spec"]
    assert not await world.children.fulfil(world.model, WISHES["deployment"])


async def test_what_others_hold_of_a_child_stays(world: World) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    found = world.server.objects["Service", "ns", "model"]
    found["metadata"]["annotations"]["note"] = "somebody's"
    world.store.put(SERVICE, world.server.add(SERVICE, found))
    await world.children.fulfil(world.model, WantService("model", "r2"))
    found = world.server.objects["Service", "ns", "model"]
    assert found["metadata"]["annotations"]["note"] == "somebody's"


async def test_a_childs_fields_are_handed_over_before_its_first_apply_only(world: World) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    await world.children.fulfil(world.model, WantService("model", "r2"))
    await world.children.fulfil(world.model, WantService("model", "r3"))
    assert world.server.calls == [
        "create Service/model",
        "get Service/model",
        "patch Service/model",
        "apply Service/model",
        "apply Service/model",
    ]


async def test_a_child_that_changes_while_its_fields_are_handed_over_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    get = world.server.get

    async def overtaken(kind: Kind, namespace: str, name: str) -> Object:
        found = await get(kind, namespace, name)
        world.server.add(SERVICE, found)
        return found

    monkeypatch.setattr(world.server, "get", overtaken)
    with pytest.raises(Conflict):
        await world.children.fulfil(world.model, WantService("model", "r2"))
    assert world.store.observed(world.model).service is not None
    monkeypatch.undo()
    assert await world.children.fulfil(world.model, WantService("model", "r2"))
    observed = world.store.observed(world.model)
    assert observed.service is not None
    assert observed.service.revision == "r2"


async def test_a_volume_of_an_earlier_model_of_that_name_is_not_adopted(world: World) -> None:
    wish = WantClaim("claim", 2**30, None, AccessMode.READ_WRITE_ONCE, owned=False)
    labels = {"qmodel.dev/model-uid": "uid of the earlier model"}
    spec = {"resources": {"requests": {"storage": "1Gi"}}}
    body = {"metadata": {"name": "claim", "namespace": "ns", "labels": labels}, "spec": spec}
    world.server.add(CLAIM, body)
    with pytest.raises(NameTaken, match=r"set spec\.storage\.existingClaim to claim to use"):
        await world.children.fulfil(world.model, wish)


async def test_a_job_is_never_applied_again(world: World) -> None:
    await world.children.fulfil(world.model, JOB_WISH)
    assert not await world.children.fulfil(world.model, JOB_WISH)
    assert world.server.calls == ["create Job/job"]


async def test_a_started_job_is_what_the_plan_said_already(world: World) -> None:
    assert not await world.children.fulfil(world.model, JOB_WISH)
    assert world.server.calls == ["create Job/job"]


async def test_a_child_that_is_being_deleted_is_waited_for(world: World) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    found = world.server.objects["Service", "ns", "model"]
    found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    going = world.server.add(SERVICE, found)
    assert world.store.put(SERVICE, going) == {MODEL_UID}
    assert world.store.observed(world.model).service is None
    with pytest.raises(BeingDeleted, match="Service model is being deleted"):
        await world.children.fulfil(world.model, SERVICE_WISH)
    del world.server.objects["Service", "ns", "model"]
    assert world.store.drop(going["metadata"]["uid"], 9999) == {MODEL_UID}
    assert await world.children.fulfil(world.model, SERVICE_WISH)


async def test_a_child_that_is_being_deleted_unseen_is_waited_for(world: World) -> None:
    await world.children.fulfil(world.model, SERVICE_WISH)
    found = world.server.objects["Service", "ns", "model"]
    found["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    fresh = World()
    fresh.server.objects = world.server.objects
    with pytest.raises(BeingDeleted):
        await fresh.children.fulfil(fresh.model, SERVICE_WISH)
    assert fresh.server.calls == ["create Service/model", "get Service/model"]


async def test_a_volume_of_a_model_that_was_deleted_is_waited_for_while_it_goes(
    world: World,
) -> None:
    await world.children.fulfil(world.model, CLAIM_WISH)
    going = world.server.objects["PersistentVolumeClaim", "ns", "claim"]
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    fresh = World()
    fresh.server.objects = {("PersistentVolumeClaim", "ns", "claim"): going}
    again = fresh.model.model_copy(update={"uid": "uid of the model made anew"})
    with pytest.raises(BeingDeleted, match="is being deleted; it is made anew"):
        await fresh.children.fulfil(again, CLAIM_WISH)


async def test_a_child_is_removed_by_its_uid(world: World) -> None:
    await world.children.fulfil(world.model, JOB_WISH)
    uid = world.server.objects["Job", "ns", "job"]["metadata"]["uid"]
    await world.children.fulfil(world.model, Remove("Job", "job", uid))
    assert world.server.objects.keys() == {("QuantizedModel", "ns", "model")}
    assert world.store.observed(world.model).jobs == ()


async def test_another_object_of_that_name_is_not_removed(world: World) -> None:
    await world.children.fulfil(world.model, JOB_WISH)
    await world.children.fulfil(world.model, Remove("Job", "job", "uid of an earlier Job"))
    assert ("Job", "ns", "job") in world.server.objects


async def test_removing_what_is_gone_is_no_error(world: World) -> None:
    await world.children.fulfil(world.model, Remove("Deployment", "gone", "uid"))
    assert world.server.calls == [f"delete {DEPLOYMENT.name}/gone"]


async def test_a_refusal_carries_the_api_servers_words(world: World) -> None:
    world.server.fail["create Job/job"] = Forbidden("create", 403, "Forbidden", "exceeded quota")
    with pytest.raises(Forbidden) as caught:
        await world.children.fulfil(world.model, JOB_WISH)
    told = refusal(JOB_WISH, caught.value)
    assert (told.kind, told.name, told.message) == (JOB.name, "job", "exceeded quota")


async def test_what_may_succeed_later_is_no_refusal(world: World) -> None:
    world.server.fail["create Job/job"] = Unavailable("create", 503, "ServiceUnavailable", "")
    with pytest.raises(Unavailable):
        await world.children.fulfil(world.model, JOB_WISH)


async def test_a_pod_that_is_heard_of_before_its_job_is_planned_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = world.server.create

    async def late(kind: Kind, namespace: str, body: Object) -> Object:
        made = await create(kind, namespace, body)
        pending = pod(job="job", phase="Pending")
        pending["metadata"]["ownerReferences"][0]["uid"] = made["metadata"]["uid"]
        world.store.put(POD, pending)
        return made

    monkeypatch.setattr(world.server, "create", late)
    assert await world.children.fulfil(world.model, JOB_WISH)
    assert not await world.children.fulfil(world.model, JOB_WISH)
