"""Why a Job failed, from the most telling witness: report, kubelet, Job controller."""

from dataclasses import dataclass
from datetime import timedelta

from qmodel.planner.observed import ContainerResult, ObservedJob, ObservedPod

OUT_OF_MEMORY = "OOMKilled"
DISK_FULL = "DiskFull"
SOURCE_CHANGED = "SourceChanged"
"""Reason of a fetch that found other files than were inspected: trying again cannot help."""
TIMED_OUT = "TimedOut"
POD_LOST = "PodLost"
REPORT_MISSING = "ReportMissing"
UNWITNESSED = frozenset({POD_LOST, REPORT_MISSING})
"""Reasons that only say that nothing is known of how the pod ended."""
DISTURBED_RETRY = timedelta(seconds=5)
DISTURBED_ATTEMPTS = 6
"""An evicted, preempted or lost pod says nothing about the model; so many in a row do."""
_SIGKILL_EXIT = 137


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure, and whether trying again can help."""

    reason: str
    message: str
    retry_after: timedelta | None = None
    is_disturbance: bool = False
    """Whether the pod was ended from outside."""


def classify(job: ObservedJob) -> Failed:
    """Return why the Job failed, or why its success cannot be believed."""
    if job.failed_reason == "DeadlineExceeded":
        return Failed(TIMED_OUT, f"Job {job.name} ran past its time limit.")
    if job.pod is None:
        return _disturbed(POD_LOST, f"The pod of Job {job.name} disappeared.")
    ended = next((r for r in job.pod.results if _went_wrong(r)), None)
    if ended is not None and (ended.reason == OUT_OF_MEMORY or ended.report is not None):
        return _from_container(ended)
    if job.pod.pod_reason:
        return _disturbed(job.pod.pod_reason, job.pod.pod_message or "The pod was ended.")
    if ended is not None:
        return _from_container(ended)
    return _disturbed(REPORT_MISSING, _no_report(job.pod))


def _went_wrong(result: ContainerResult) -> bool:
    return result.exit_code != 0 or (
        result.report is not None and result.report.failure is not None
    )


def _from_container(result: ContainerResult) -> Failed:
    """Read one container's end."""
    if result.reason == OUT_OF_MEMORY:
        return Failed(OUT_OF_MEMORY, f"Container {result.name} was killed for memory.")
    failure = None if result.report is None else result.report.failure
    if failure is not None:
        seconds = failure.retry_after_seconds
        retry = None if seconds is None else timedelta(seconds=seconds)
        return Failed(failure.reason, failure.message, retry)
    if result.exit_code == _SIGKILL_EXIT:
        return _disturbed("Killed", f"Container {result.name} was killed from outside.")
    tail = f" Its last words: {result.message}" if result.message else ""
    return Failed("StepFailed", f"Container {result.name} exited {result.exit_code}.{tail}")


def _disturbed(reason: str, message: str) -> Failed:
    return Failed(reason, message, DISTURBED_RETRY, is_disturbance=True)


def _no_report(pod: ObservedPod) -> str:
    return f"Pod {pod.name} ended without a readable report."
