"""Why servers do not answer, read from their pods; and one larger try after an OOM kill."""

from datetime import datetime

from qmodel.api.conditions import ConditionType
from qmodel.api.quantities import bytes_of, quantity_mib
from qmodel.api.status import StepStatus
from qmodel.api.timestamps import rfc3339
from qmodel.planner import context as stage
from qmodel.planner.containers import SERVER_CONTAINER, VERIFY_CONTAINER
from qmodel.planner.context import StageResult
from qmodel.planner.failures import OUT_OF_MEMORY
from qmodel.planner.observed import ContainerResult, ObservedDeployment, ObservedPod
from qmodel.planner.pod_trouble import delay_of_pod
from qmodel.worker.report import Failure

SERVE = "serve"
"""Name of the record in `status.steps`."""
_MEMORY_FACTOR = 1.5


def trouble(found: ObservedDeployment, now: datetime) -> StageResult | None:
    """Return what keeps the servers from answering, the most telling first."""
    return _damaged(found) or _crashed(found) or _not_made(found) or _not_started(found, now)


def killed_for_memory(found: ObservedDeployment, memory_bytes: int) -> bool:
    """Whether a server that was given so much memory was killed for it.

    One of another sizing, which is still there during a rollout, says nothing about this one.
    """
    limit_bytes = bytes_of(quantity_mib(memory_bytes))
    return any(
        result.reason == OUT_OF_MEMORY
        for pod in found.pods
        if pod.server_memory_bytes == limit_bytes
        for result in pod.results
        if result.name == SERVER_CONTAINER
    )


def raised(key: str, memory_bytes: int, image: str, now: datetime) -> StepStatus:
    """Return the record of one larger try."""
    return StepStatus(
        name=SERVE,
        key=key,
        attempts=2,
        image=image,
        memory_bytes=int(memory_bytes * _MEMORY_FACTOR),
        started=rfc3339(now),
        last_reason=OUT_OF_MEMORY,
        last_message=f"a server was killed for memory with {quantity_mib(memory_bytes)}",
    )


def damage(pod: ObservedPod) -> Failure | None:
    """Return what the check before serving found wrong with the artifact."""
    result = pod.result(VERIFY_CONTAINER)
    return None if result is None or result.report is None else result.report.failure


def _damaged(found: ObservedDeployment) -> StageResult | None:
    """Return what the check before serving found, if it failed."""
    for pod in found.pods:
        failure = damage(pod)
        if failure is not None:
            advice = (
                "Restore the volume, or delete the claim and then this model's pods, which keep it "
                "from going, to have everything made anew. Of an existingClaim, delete the pods "
                "alone: what is damaged or missing is made anew."
            )
            return stage.blocked(
                ConditionType.AVAILABLE, failure.reason, f"{failure.message} {advice}"
            )
    return None


def _crashed(found: ObservedDeployment) -> StageResult | None:
    """Return how a server ended, if one did."""
    ended = [r for pod in found.pods for r in pod.results if _is_crash(r)]
    if not ended:
        return None
    last = ended[-1]
    words = f" Its last words: {last.message}" if last.message else ""
    message = f"the server exited {last.exit_code} ({last.reason}).{words}"
    return stage.troubled(ConditionType.AVAILABLE, "ServerCrashed", message)


def _is_crash(result: ContainerResult) -> bool:
    return result.name == SERVER_CONTAINER and result.exit_code != 0


def _not_made(found: ObservedDeployment) -> StageResult | None:
    """Return why a server's pod cannot be made, in the words of its controller."""
    if not found.failed_create:
        return None
    message = f"a server cannot be made: {found.failed_create}"
    return stage.troubled(ConditionType.AVAILABLE, "FailedCreate", message)


def _not_started(found: ObservedDeployment, now: datetime) -> StageResult | None:
    """Return what keeps a pod from starting, once it has lasted."""
    delays = [delay for pod in found.pods if (delay := delay_of_pod(pod)) is not None]
    shown = (delay.trouble(ConditionType.AVAILABLE, now) for delay in delays)
    lasting = next((trouble for trouble in shown if trouble is not None), None)
    if lasting is not None or not delays:
        return lasting
    message = f"starting the servers of {found.revision}"
    soonest = min(delay.due for delay in delays)
    return stage.working(ConditionType.AVAILABLE, message, soonest - now)
