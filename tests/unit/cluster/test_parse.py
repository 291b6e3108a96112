import json
from dataclasses import replace
from typing import Any

import pytest
from objects import claim, deployment, ended, job, model, pod, server_pod

from qmodel.api.methods import Backend
from qmodel.api.resource import QuantizedModel
from qmodel.api.serving import Engine
from qmodel.api.status import FootprintStatus
from qmodel.cluster import parse
from qmodel.planner.images import evaluates, quantizes
from qmodel.planner.observed import InvalidModel, JobState
from qmodel.resources.build import build
from qmodel.worker.report import Failure, Report
from unit.planner.values import IMAGES
from unit.resources.wishes import MODEL, QUANTIZE
from unit.sizing.values import footprint


def test_a_model_is_parsed_with_its_defaults() -> None:
    found = parse.model(model())
    assert isinstance(found, QuantizedModel)
    assert found.spec.serving.replicas == 1


def test_an_invalid_spec_names_each_field() -> None:
    body = model()
    body["spec"]["quantization"] = {"method": "GGUF", "gguf": {"type": "Q9_X"}}
    body["spec"]["novelty"] = 1
    found = parse.model(body)
    assert isinstance(found, InvalidModel)
    assert any(p.startswith("spec.quantization.gguf.type: ") for p in found.problems)
    assert any(p.startswith("spec.novelty: ") for p in found.problems)


def test_a_status_of_a_newer_version_is_read_as_far_as_it_is_known() -> None:
    status = parse.stored_status({"stage": "Ready", "novelty": {"a": 1}})
    assert status.stage == "Ready"


def test_a_status_of_an_older_version_is_read_without_what_is_gone() -> None:
    measured = FootprintStatus(
        revision="0a1b2c3d4e",
        image="llamacpp:1",
        engine=Engine.LLAMA_CPP,
        argv=["llama-server"],
        key="k",
        estimated_peak_bytes=1,
        **footprint().model_dump(),
    )
    status = {"footprint": measured.to_wire() | {"argumentsHash": "abcdef01"}}
    assert parse.stored_status(status).footprint == measured


def test_a_status_that_says_something_else_starts_anew() -> None:
    assert parse.stored_status({"steps": "none", "stage": "Ready"}).stage is None


def test_a_report_is_read_from_the_termination_message() -> None:
    report = Report(step="inspect", failure=Failure(reason="NotFound", message="m"))
    message = json.dumps(report.to_wire())
    found = parse.pod(pod(containerStatuses=[ended(message=message, exitCode=1)]))
    result = found.result("inspect")
    assert result is not None
    assert result.report == report


@pytest.mark.parametrize(
    "message",
    [
        "Killed",
        "{}",
        '{"step": "inspect", "novelty": 1}',
        "[" * 5000,
        '{"step": "inspect", "fetched": {"bytes": -1, "files": 1}}',
        '{"step": "fetch", "fetched": {"bytes": %s, "files": 1}}' % 10**19,
        '{"step": "fetch", "fetched": {"bytes": 1e400, "files": 1}}',
        '{"step": "fetch", "fetched": {"bytes": NaN, "files": 1}}',
        "\x00\ud800".encode("utf-8", "replace").decode(),
        "x" * 100_000,
    ],
)
def test_what_is_no_report_is_kept_as_a_short_text(message: str) -> None:
    found = parse.pod(pod(containerStatuses=[ended(message=message, exitCode=1)]))
    result = found.result("inspect")
    assert result is not None
    assert result.report is None
    assert len(result.message) <= parse.MAX_MESSAGE_CHARACTERS


def test_init_containers_come_first() -> None:
    body = pod(initContainerStatuses=[ended("quantize")], containerStatuses=[ended("evaluate")])
    assert [r.name for r in parse.pod(body).results] == ["quantize", "evaluate"]


def test_what_passes_by_itself_is_no_reason_to_wait() -> None:
    for reason in ("ContainerCreating", "PodInitializing"):
        waiting = {"name": "c", "state": {"waiting": {"reason": reason}}}
        assert parse.pod(pod(containerStatuses=[waiting])).waiting_reason == ""


def test_an_image_that_cannot_be_pulled_is_told_alike_during_a_try_and_between_two() -> None:
    tried = {"reason": "ErrImagePull", "message": "no such image"}
    told = 'Back-off pulling image "a": ErrImagePull: no such image'
    awaited = {"reason": "ImagePullBackOff", "message": told}
    for waiting in (tried, awaited):
        found = parse.pod(pod(containerStatuses=[{"name": "c", "state": {"waiting": waiting}}]))
        assert (found.waiting_reason, found.waiting_message) == (
            "ImagePullBackOff",
            "no such image",
        )


MADE = "2026-01-01T00:00:00Z"
PLACED = "2026-01-01T00:05:00Z"
SCHEDULED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": PLACED}
CREATING = {"name": "fetch", "state": {"waiting": {"reason": "ContainerCreating"}}}


@pytest.mark.parametrize(
    ("status", "since"),
    [
        ({"phase": "Pending"}, MADE),
        ({"phase": "Pending", "conditions": [SCHEDULED]}, PLACED),
        ({"phase": "Pending", "conditions": [SCHEDULED | {"lastTransitionTime": None}]}, MADE),
        ({"phase": "Pending", "conditions": [SCHEDULED], "containerStatuses": [CREATING]}, PLACED),
        ({"phase": "Pending", "containerStatuses": [{"name": "fetch", "state": {}}]}, MADE),
        ({"phase": "Running", "containerStatuses": [CREATING]}, None),
        ({"phase": "Failed", "reason": "Evicted"}, None),
    ],
)
def test_a_pod_tells_since_when_its_containers_are_awaited(
    status: dict[str, Any], since: str | None
) -> None:
    found = parse.pod(pod(**status))
    assert found.starting_since == (None if since is None else parse.time(since))


@pytest.mark.parametrize(
    "state",
    [{"running": {}}, {"terminated": {"exitCode": 0}}, {"waiting": {"reason": "ErrImagePull"}}],
)
def test_no_container_is_awaited_once_one_ran_or_is_in_trouble(state: dict[str, Any]) -> None:
    first = {"name": "quantize", "state": state}
    last = {"name": "evaluate", "state": {"waiting": {"reason": "PodInitializing"}}}
    body = pod(phase="Pending", initContainerStatuses=[first], containerStatuses=[last])
    assert parse.pod(body).starting_since is None


def test_the_schedulers_message_is_told_while_no_node_fits() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
    }
    found = parse.pod(pod(phase="Pending", conditions=[condition]))
    assert "nvidia.com/gpu" in found.unschedulable


def test_a_restarted_server_tells_how_it_ended_before() -> None:
    state = {
        "name": "server",
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
    }
    found = parse.pod(server_pod(containerStatuses=[state]))
    assert found.waiting_reason == "CrashLoopBackOff"
    assert found.results[0].reason == "OOMKilled"


def test_how_a_server_ended_before_is_not_told_once_it_is_ready_again() -> None:
    state = {
        "name": "server",
        "ready": True,
        "state": {"running": {}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
    }
    assert parse.pod(server_pod(containerStatuses=[state])).results == ()
    starting = parse.pod(server_pod(containerStatuses=[state | {"ready": False}]))
    assert [result.reason for result in starting.results] == ["OOMKilled"]


def test_a_pod_tells_the_memory_limit_of_the_server_in_it() -> None:
    body = server_pod()
    assert parse.pod(body).server_memory_bytes == 0
    server = {"name": "server", "resources": {"limits": {"memory": "384Mi"}}}
    body["spec"]["containers"] = [{"name": "proxy"}, server]
    assert parse.pod(body).server_memory_bytes == 384 * 2**20


def test_what_others_injected_into_a_pod_says_nothing_about_the_step() -> None:
    proxy = {"name": "proxy", "state": {"running": {}}}
    died = ended("sidecar", reason="OOMKilled", exitCode=137)
    body = pod(initContainerStatuses=[proxy], containerStatuses=[died, ended("measure")])
    assert [result.name for result in parse.pod(body).results] == ["measure"]
    assert parse.running_container(body) == ""


def test_a_failed_job_tells_why() -> None:
    body = job(done="Failed")
    body["status"]["conditions"][0] |= {"reason": "DeadlineExceeded", "message": "too long"}
    found = parse.job(body)
    assert found is not None
    assert (found.state, found.failed_reason) == (JobState.FAILED, "DeadlineExceeded")
    assert found.finished is not None


@pytest.mark.parametrize("backend", [Backend.AUTO_AWQ, Backend.AUTO_GPTQ])
def test_a_job_tells_the_images_of_its_containers_in_the_order_in_which_they_run(
    backend: Backend,
) -> None:
    made, judged = IMAGES.named(quantizes(backend)), IMAGES.named(evaluates(backend))
    assert made != judged
    first, last = QUANTIZE.containers
    want = replace(QUANTIZE, containers=(replace(first, image=made), replace(last, image=judged)))
    body = build(MODEL, want, "1") | {"status": {}}
    body["metadata"] |= {"uid": "uid", "creationTimestamp": "2026-01-01T00:00:00Z"}
    proxy = {"name": "proxy", "image": "mesh:1"}
    body["spec"]["template"]["spec"]["initContainers"].insert(0, proxy)
    found = parse.job(body)
    assert found is not None
    assert found.images == (made, judged)


def test_a_job_tells_what_it_was_made_with() -> None:
    want = replace(QUANTIZE, result_key="r", evaluation_key="e", pod_key="p")
    body = build(MODEL, want, "1") | {"status": {}}
    body["metadata"] |= {"uid": "uid", "creationTimestamp": "2026-01-01T00:00:00Z"}
    found = parse.job(body)
    assert found is not None
    told = "name", "step", "key", "attempt", "timeout_seconds"
    for name in (*told, "result_key", "evaluation_key", "pod_key"):
        assert getattr(found, name) == getattr(want, name), name


def test_a_job_whose_labels_were_changed_is_not_taken_for_a_step() -> None:
    body = job()
    body["metadata"]["labels"]["qmodel.dev/step"] = "novelty"
    assert parse.job(body) is None


ROLLED_OUT = {
    "observedGeneration": 2,
    "replicas": 1,
    "updatedReplicas": 1,
    "readyReplicas": 1,
    "availableReplicas": 1,
}


def test_a_deployment_is_available_once_rolled_out() -> None:
    assert parse.deployment(deployment(**ROLLED_OUT)).available


@pytest.mark.parametrize(
    "lack",
    [
        {"observedGeneration": 1},
        {"updatedReplicas": 0},
        {"availableReplicas": 0},
        {"replicas": 2},
    ],
)
def test_a_deployment_is_not_available_while(lack: dict[str, int]) -> None:
    assert not parse.deployment(deployment(**ROLLED_OUT | lack)).available


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        ("True", "FailedCreate", "exceeded quota"),
        ("True", "FailedDelete", ""),
        ("False", "FailedCreate", ""),
    ],
)
def test_a_deployment_tells_why_its_pods_cannot_be_made(
    status: str, reason: str, told: str
) -> None:
    condition = {"type": "ReplicaFailure", "status": status, "reason": reason}
    body = deployment(conditions=[{**condition, "message": "exceeded quota"}])
    assert parse.deployment(body).failed_create == told


def test_no_servers_wanted_and_none_there_is_available() -> None:
    body = deployment(observedGeneration=2)
    body["spec"]["replicas"] = 0
    assert parse.deployment(body).available


def test_a_claim_has_the_size_that_was_asked_for() -> None:
    found = parse.claim(claim(phase="Bound", capacity={"storage": "1Ti"}))
    assert found.size_bytes == 2**30


@pytest.mark.parametrize(
    ("size", "size_bytes"),
    [("1Pi", 2**50), ("2E", 2 * 10**18), ("1e9", 10**9), ("500m", 1), ("1u", 1)],
)
def test_a_claim_that_someone_resized_is_read_in_any_unit(size: str, size_bytes: int) -> None:
    body = claim()
    body["spec"]["resources"]["requests"]["storage"] = size
    assert parse.claim(body).size_bytes == size_bytes


def test_a_volume_that_grows_has_less_than_was_asked_for() -> None:
    found = parse.claim(claim(capacity={"storage": "512Mi"}))
    assert (found.size_bytes, found.capacity_bytes) == (2**30, 2**29)
    assert parse.claim(claim()).capacity_bytes == 2**30
