import pytest
from objects import (
    INSTALLATION,
    MODEL_UID,
    claim,
    deployment,
    ended,
    endpoints,
    job,
    meta,
    model,
    node,
    pod,
    server_pod,
    service,
)

from qmodel.api.status import QuantizedModelStatus
from qmodel.cluster.kinds import (
    CLAIM,
    DEPLOYMENT,
    ENDPOINTS,
    JOB,
    MODEL,
    NODE,
    POD,
    SERVICE,
    Scope,
)
from qmodel.cluster.store import Store
from qmodel.naming import MANAGER, MODEL_UID_LABEL
from qmodel.planner.observed import JobState, Observed

READY, UNREADY = {"ready": True}, {"ready": False}


def store_with_model() -> Store:
    store = Store(INSTALLATION)
    store.put(MODEL, model())
    return store


def observed(store: Store) -> Observed:
    found = store.model(MODEL_UID)
    assert found is not None
    return store.observed(found)


def is_held_by_creation(store: Store, uid: str) -> bool:
    entry = store.entry(uid)
    assert entry is not None
    return entry.held_by_creation


def test_a_new_model_is_looked_at() -> None:
    assert Store(INSTALLATION).put(MODEL, model()) == {MODEL_UID}


def test_a_child_wakes_its_model_and_is_observed() -> None:
    store = store_with_model()
    assert store.put(JOB, job()) == {MODEL_UID}
    assert [j.name for j in observed(store).jobs] == ["job"]


def test_who_holds_a_childs_fields_is_known_and_wakes_nobody() -> None:
    store = store_with_model()
    created = service()
    uid = created["metadata"]["uid"]
    creation = {"manager": MANAGER, "operation": "Update", "fieldsV1": {}}
    created["metadata"]["managedFields"] = [creation]
    store.put(SERVICE, created)
    assert is_held_by_creation(store, uid)
    applied = service()
    applied["metadata"]["managedFields"] = [{**creation, "operation": "Apply"}]
    assert store.put(SERVICE, applied) == set()
    assert not is_held_by_creation(store, uid)


def test_a_volume_that_gets_or_loses_its_owner_wakes_its_model() -> None:
    store = store_with_model()
    store.put(CLAIM, claim())
    kept = claim()
    del kept["metadata"]["ownerReferences"]
    assert store.put(CLAIM, kept) == {MODEL_UID}


def test_an_event_that_changes_nothing_for_the_planner_wakes_nobody() -> None:
    store = store_with_model()
    store.put(JOB, job())
    assert store.put(JOB, job(active=1, startTime="2026-01-01T00:00:01Z")) == set()


def test_that_a_claim_was_given_its_volume_wakes_nobody() -> None:
    store = store_with_model()
    store.put(CLAIM, claim())
    bound = claim(phase="Bound")
    bound["spec"] = {**bound["spec"], "volumeName": "volume"}
    assert store.put(CLAIM, bound) == set()


def test_our_own_status_that_is_heard_of_before_its_answer_wakes_nobody() -> None:
    store = store_with_model()
    status = QuantizedModelStatus(stage="Inspecting")
    with store.writing_status(MODEL_UID, status):
        assert store.put(MODEL, {**model(), "status": status.to_wire()}) == set()
    found = store.model(MODEL_UID)
    assert found is not None
    assert found.status == status


def test_what_another_changed_while_a_status_is_written_wakes_the_model() -> None:
    store = store_with_model()
    status = QuantizedModelStatus(stage="Inspecting")
    edited = model()
    edited["metadata"]["generation"] += 1
    with store.writing_status(MODEL_UID, status):
        assert store.put(MODEL, {**edited, "status": status.to_wire()}) == {MODEL_UID}
        assert store.put(MODEL, {**model(), "status": {"stage": "Failed"}}) == {MODEL_UID}


def answers(store: Store) -> bool:
    found = observed(store).service
    assert found is not None
    return found.answers


def test_a_service_answers_once_an_endpoint_is_ready() -> None:
    store = store_with_model()
    store.put(SERVICE, service())
    assert store.put(ENDPOINTS, endpoints()) == set()
    assert store.put(ENDPOINTS, endpoints(UNREADY)) == set()
    assert not answers(store)
    assert store.put(ENDPOINTS, endpoints(UNREADY, READY)) == {MODEL_UID}
    assert answers(store)
    assert store.put(ENDPOINTS, endpoints(UNREADY, UNREADY)) == {MODEL_UID}
    assert not answers(store)


def test_an_endpoint_that_does_not_say_whether_it_is_ready_is() -> None:
    store = store_with_model()
    store.put(SERVICE, service())
    store.put(ENDPOINTS, endpoints({}))
    assert answers(store)


def test_endpoints_of_the_revision_before_are_no_answer() -> None:
    store = store_with_model()
    store.put(SERVICE, service(revision="r1"))
    store.put(ENDPOINTS, endpoints(READY, revision="r1"))
    store.put(SERVICE, service(revision="r2"))
    assert not answers(store)
    assert store.put(ENDPOINTS, endpoints(READY, revision="r2")) == {MODEL_UID}
    assert answers(store)


def test_endpoints_that_are_heard_of_before_their_service_wait_for_it() -> None:
    store = store_with_model()
    assert store.put(ENDPOINTS, endpoints(READY)) == set()
    assert store.put(SERVICE, service()) == {MODEL_UID}
    assert answers(store)


def test_endpoints_of_another_service_do_not_count() -> None:
    store = store_with_model()
    store.put(SERVICE, service())
    store.put(ENDPOINTS, endpoints(READY, service="other"))
    assert not answers(store)


def test_a_copy_of_the_service_is_not_taken_for_it() -> None:
    store = store_with_model()
    store.put(SERVICE, service(revision="r1"))
    store.put(SERVICE, service("copy", revision="r2"))
    found = observed(store).service
    assert found is not None
    assert (found.name, found.revision) == ("model", "r1")


def test_one_of_several_slices_suffices() -> None:
    store = store_with_model()
    store.put(SERVICE, service())
    store.put(ENDPOINTS, endpoints(READY, name="one"))
    store.put(ENDPOINTS, endpoints(UNREADY, name="two"))
    found = endpoints(READY, name="one")["metadata"]
    assert answers(store)
    assert store.drop(found["uid"], int(found["resourceVersion"])) == {MODEL_UID}
    assert not answers(store)


def test_older_news_is_ignored() -> None:
    store = store_with_model()
    older, newer = job(), job(done="Complete")
    store.put(JOB, newer)
    assert store.put(JOB, older) == set()
    assert observed(store).jobs[0].state is JobState.COMPLETE


def test_late_news_of_a_deleted_object_does_not_bring_it_back() -> None:
    store = store_with_model()
    late, deleted = job(), job()
    store.drop("uid-of-job", int(deleted["metadata"]["resourceVersion"]))
    assert store.put(JOB, late) == set()
    assert observed(store).jobs == ()


def test_an_object_that_lost_its_label_and_got_it_back_is_known_again() -> None:
    store = store_with_model()
    store.put(DEPLOYMENT, deployment())
    left = deployment()["metadata"]["resourceVersion"]
    assert store.drop("uid-of-deployment", int(left)) == {MODEL_UID}
    assert store.put(DEPLOYMENT, deployment()) == {MODEL_UID}


def test_a_job_without_our_owner_reference_is_none_of_ours() -> None:
    store = store_with_model()
    stray = job()
    stray["metadata"]["ownerReferences"] = []
    assert store.put(JOB, stray) == set()
    assert observed(store).jobs == ()


def test_a_job_of_another_namespace_is_none_of_ours_whatever_it_claims() -> None:
    store = store_with_model()
    foreign = job()
    foreign["metadata"]["namespace"] = "elsewhere"
    store.put(JOB, foreign)
    assert observed(store).jobs == ()


def test_a_report_counts_only_from_a_pod_that_the_job_owns() -> None:
    store = store_with_model()
    store.put(JOB, job(done="Complete"))
    report = '{"step":"inspect","failure":{"reason":"Forged","message":"m"}}'
    stranger = pod("stranger", job="another", containerStatuses=[ended(message=report)])
    store.put(POD, stranger)
    assert observed(store).jobs[0].pod is None


def test_a_job_counts_as_running_until_the_end_of_its_pod_is_known_too() -> None:
    store = store_with_model()
    store.put(JOB, job())
    store.put(POD, pod(phase="Running"))
    store.put(JOB, job(done="Complete"))
    assert observed(store).jobs[0].state is JobState.ACTIVE
    finished = pod(phase="Succeeded", containerStatuses=[ended()])
    assert store.put(POD, finished) == {MODEL_UID}
    assert observed(store).jobs[0].state is JobState.COMPLETE


def test_a_healthy_pod_wakes_nobody_and_a_stuck_one_does() -> None:
    store = store_with_model()
    store.put(JOB, job())
    assert store.put(POD, pod(phase="Pending")) == set()
    assert store.put(POD, pod(phase="Running")) == set()
    waiting = {"name": "inspect", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    assert store.put(POD, pod(phase="Pending", containerStatuses=[waiting])) == {MODEL_UID}
    assert store.put(POD, pod(phase="Running")) == {MODEL_UID}


def test_the_newest_pod_of_a_job_speaks() -> None:
    store = store_with_model()
    store.put(JOB, job())
    replacement = pod("replacement")
    replacement["metadata"]["creationTimestamp"] = "2026-01-01T00:05:00Z"
    store.put(POD, replacement)
    store.put(POD, pod("first", phase="Failed"))
    assert observed(store).jobs[0].pod.name == "replacement"  # type: ignore[union-attr]


def test_pods_of_a_server_are_seen_with_its_deployment() -> None:
    store = store_with_model()
    store.put(DEPLOYMENT, deployment())
    store.put(POD, server_pod())
    assert [p.name for p in observed(store).deployments[0].pods] == ["server"]


def test_a_pod_that_was_heard_of_before_its_job_is_found() -> None:
    store = store_with_model()
    store.put(POD, pod())
    store.put(JOB, job())
    assert observed(store).jobs[0].pod is not None


def test_a_volume_that_outlives_its_model_is_known_by_its_label() -> None:
    store = store_with_model()
    kept = claim()
    del kept["metadata"]["ownerReferences"]
    assert store.put(CLAIM, kept) == {MODEL_UID}
    assert observed(store).claim is not None


def test_a_copy_of_the_volume_is_not_taken_for_it() -> None:
    store = store_with_model()
    store.put(CLAIM, claim())
    store.put(CLAIM, claim("backup-of-model"))
    found = observed(store).claim
    assert found is not None
    assert found.uid == claim()["metadata"]["uid"]


def test_a_volume_of_another_owner_is_not_ours_by_its_label() -> None:
    store = store_with_model()
    other = claim()
    other["metadata"] = meta("claim", labels={MODEL_UID_LABEL: MODEL_UID})
    other["metadata"]["ownerReferences"] = [
        {"kind": "StatefulSet", "name": "db", "uid": "u", "controller": True}
    ]
    assert store.put(CLAIM, other) == set()


def test_what_a_list_does_not_hold_is_missing() -> None:
    store = store_with_model()
    store.put(JOB, job("kept"))
    store.put(JOB, job("lost"))
    after = int(job()["metadata"]["resourceVersion"])
    assert store.missing(Scope(JOB), {"uid-of-kept"}, after) == ["uid-of-lost"]


def test_what_was_made_after_a_list_is_not_missing() -> None:
    store = store_with_model()
    created = job("new")
    store.put(JOB, created)
    before = int(created["metadata"]["resourceVersion"]) - 1
    assert store.missing(Scope(JOB), set(), before) == []


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    store = store_with_model()
    store.put(JOB, job())
    assert store.missing(Scope(JOB, "elsewhere"), set(), 10**9) == []


def test_our_own_status_write_is_known_at_once_and_its_event_wakes_nobody() -> None:
    store = store_with_model()
    answer = model(status={"stage": "Inspecting"})
    store.wrote_status(MODEL_UID, QuantizedModelStatus(stage="Inspecting"), answer)
    found = store.model(MODEL_UID)
    assert found is not None
    assert found.status.stage == "Inspecting"
    assert store.put(MODEL, answer) == set()


def test_nodes_wake_models_that_are_not_ready_and_only_if_they_changed() -> None:
    store = store_with_model()
    assert store.put(NODE, node(cpu="4")) == {MODEL_UID}
    assert store.put(NODE, node(cpu="4")) == set()
    assert store.put(NODE, node(cpu="8")) == {MODEL_UID}
    assert [n.allocatable for n in observed(store).nodes] == [{"cpu": "8"}]


def test_nodes_leave_ready_models_alone() -> None:
    store = Store(INSTALLATION)
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Serving",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    store.put(MODEL, model(status={"conditions": [condition]}))
    assert store.put(NODE, node()) == set()


def test_progress_is_observed_with_its_job() -> None:
    store = store_with_model()
    store.put(JOB, job())
    assert store.progress("uid-of-job", 35) == {MODEL_UID}
    assert observed(store).jobs[0].progress_percent == 35
    assert store.progress("uid-of-nothing", 35) == set()


@pytest.mark.parametrize(
    ("status", "generation", "is_ready"),
    [("True", 1, True), ("Unknown", 1, False), ("False", 1, False), ("True", 0, False)],
)
def test_a_model_is_ready_if_that_was_said_of_its_present_spec(
    status: str, generation: int, *, is_ready: bool
) -> None:
    ready = {
        "type": "Ready",
        "status": status,
        "reason": "Serving",
        "observedGeneration": generation,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    store = Store(INSTALLATION)
    store.put(MODEL, model(status={"conditions": [ready]}))
    assert store.is_ready(MODEL_UID) is is_ready


def test_a_model_of_which_nothing_is_known_is_not_ready() -> None:
    store = store_with_model()
    assert not store.is_ready(MODEL_UID)
    assert not store.is_ready("another")
