"""Pods that do not come to run: none is made, no node fits, or a container does not start."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from qmodel.api.conditions import ConditionType
from qmodel.planner import context as stage
from qmodel.planner.context import StageResult
from qmodel.planner.observed import ObservedJob, ObservedPod

GRACE = timedelta(seconds=10)
"""A pod that cannot start for less than this is only starting: images pull, nodes come."""
VOLUME_GRACE = timedelta(seconds=60)
"""The same while its volume is made: clouds take up to a minute."""
NO_POD_GRACE = timedelta(seconds=60)
"""The same while a Job has no pod: controllers write 20 objects a second, and models by the
hundred may be made at once."""
NOT_STARTED_GRACE = timedelta(minutes=2)
"""The same while nothing is said to be wrong: images of some gigabytes pull, volumes attach."""
LOOK_AGAIN = timedelta(seconds=30)
"""That a pod was made or has started wakes nobody, so it is looked for while its lack is told."""
_UNBOUND = "unbound immediate PersistentVolumeClaims"
"""What the scheduler says of that (its plugin volumebinding)."""


@dataclass(frozen=True, slots=True)
class Delay:
    """What keeps a pod from running, and from when that counts as trouble."""

    reason: str
    message: str
    due: datetime
    look_again: timedelta | None = None
    """When to look whether it has passed; None where its passing is heard of."""

    def trouble(self, kind: ConditionType, now: datetime) -> StageResult | None:
        """Return what to say of it, once it has lasted."""
        if now < self.due:
            return None
        return stage.troubled(kind, self.reason, self.message, self.look_again)


def delay_of_job(job: ObservedJob) -> Delay | None:
    """Return what keeps a Job that has not ended from running; None if nothing does."""
    if job.pod is not None:
        return delay_of_pod(job.pod)
    message = (
        f"no pod of Job {job.name} was made yet; a quota or limit range may forbid it: "
        f"kubectl describe job {job.name}"
    )
    return Delay("NoPod", message, job.created + NO_POD_GRACE, LOOK_AGAIN)


def delay_of_pod(pod: ObservedPod) -> Delay | None:
    """Return what keeps a pod from running; None if nothing does."""
    if pod.unschedulable:
        grace = VOLUME_GRACE if _UNBOUND in pod.unschedulable else GRACE
        message = f"pod {pod.name}: {pod.unschedulable}"
        return Delay("Unschedulable", message, pod.created + grace)
    if pod.waiting_reason:
        message = f"pod {pod.name}: {pod.waiting_message or pod.waiting_reason}"
        return Delay(pod.waiting_reason, message, pod.created + GRACE)
    if pod.starting_since is None:
        return None
    message = (
        f"pod {pod.name}: no container has started yet; a large image is being pulled, or a "
        f"volume does not mount: kubectl describe pod {pod.name}"
    )
    return Delay(
        "ContainersNotStarted", message, pod.starting_since + NOT_STARTED_GRACE, LOOK_AGAIN
    )
