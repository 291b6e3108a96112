"""Pods that do not come to run: no node fits, or a container does not start."""

from datetime import datetime, timedelta

from qmodel.api.conditions import ConditionType
from qmodel.planner import context as stage
from qmodel.planner.context import StageResult
from qmodel.planner.model import ObservedPod

GRACE = timedelta(seconds=10)
"""A pod that cannot start for less than this is only starting: images pull, nodes come."""
VOLUME_GRACE = timedelta(seconds=60)
"""The same while its volume is made: clouds take up to a minute."""
_UNBOUND = "unbound immediate PersistentVolumeClaims"
"""What the scheduler says of that (its plugin volumebinding)."""


def until_trouble(pod: ObservedPod | None, now: datetime) -> timedelta | None:
    """Return how long a pod that does not run may still be called starting; None if it runs."""
    if pod is None or not (pod.unschedulable or pod.waiting_reason):
        return None
    grace = VOLUME_GRACE if _UNBOUND in pod.unschedulable else GRACE
    return grace - (now - pod.created)


def pod_trouble(kind: ConditionType, pod: ObservedPod | None, now: datetime) -> StageResult | None:
    """Return what keeps a pod from running, once it has lasted."""
    left = until_trouble(pod, now)
    if pod is None or left is None or left > timedelta(0):
        return None
    reason = "Unschedulable" if pod.unschedulable else pod.waiting_reason
    message = pod.unschedulable or pod.waiting_message or pod.waiting_reason
    return stage.troubled(kind, reason, f"pod {pod.name}: {message}")
