from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qmodel.planner.containers import Step
from qmodel.planner.failures import classify
from qmodel.planner.observed import ContainerResult, JobState, ObservedJob, ObservedPod
from unit.planner.values import failure

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KILLED = ContainerResult("quantize", 137, "OOMKilled", None)
GOOD = ContainerResult("quantize", 0, "Completed", None)
SAYS = failure("quantize", "DiskFull", "3 MB are left")


def job(*results: ContainerResult, failed_reason: str = "", **pod: Any) -> ObservedJob:
    """Return a Job that ended with these containers."""
    found = ObservedPod("p", "uid", "Failed", NOW, results=results, **pod)
    return ObservedJob(
        "j", "uid", Step.QUANTIZE, "k", 1, JobState.FAILED, NOW, NOW, failed_reason, "", found
    )


@pytest.mark.parametrize(
    ("ended", "reason"),
    [
        (job(GOOD, failed_reason="DeadlineExceeded"), "TimedOut"),
        (job(KILLED), "OOMKilled"),
        (job(GOOD, ContainerResult("evaluate", 137, "OOMKilled", None)), "OOMKilled"),
        (job(ContainerResult("quantize", 1, "OOMKilled", SAYS)), "OOMKilled"),
        (job(ContainerResult("quantize", 1, "Error", SAYS)), "DiskFull"),
        (job(ContainerResult("quantize", 0, "Completed", SAYS)), "DiskFull"),
        (job(ContainerResult("quantize", 1, "Error", SAYS), pod_reason="Evicted"), "DiskFull"),
        (job(ContainerResult("quantize", 137, "Error", None), pod_reason="Evicted"), "Evicted"),
        (job(KILLED, pod_reason="Evicted"), "OOMKilled"),
        (job(ContainerResult("quantize", 137, "Error", None)), "Killed"),
        (job(ContainerResult("quantize", 2, "Error", None)), "StepFailed"),
        (job(GOOD), "ReportMissing"),
        (job(), "ReportMissing"),
    ],
)  # fmt: skip
def test_the_most_telling_witness_is_believed(ended: ObservedJob, reason: str) -> None:
    assert classify(ended).reason == reason


def test_a_pod_that_is_gone_is_lost() -> None:
    lost = ObservedJob("j", "uid", Step.FETCH, "k", 1, JobState.FAILED, NOW)
    assert classify(lost).reason == "PodLost"


@pytest.mark.parametrize(
    "disturbed", [job(), job(GOOD, pod_reason="Evicted"), job(pod_reason="Preempting")]
)
def test_a_disturbed_pod_is_tried_again_and_counted(disturbed: ObservedJob) -> None:
    found = classify(disturbed)
    assert found.retry_after is not None
    assert found.is_disturbance


def test_a_report_says_itself_whether_trying_again_helps() -> None:
    down = failure("fetch", "HubUnavailable", retry=15)
    assert classify(job(ContainerResult("fetch", 1, "Error", down))).retry_after == timedelta(
        seconds=15
    )
    assert classify(job(ContainerResult("fetch", 1, "Error", SAYS))).retry_after is None


def test_the_last_words_are_told_where_there_is_no_report() -> None:
    found = classify(job(ContainerResult("evaluate", 3, "Error", None, "Traceback: boom")))
    assert "evaluate exited 3" in found.message
    assert "Traceback: boom" in found.message
