"""What a Job is recognised by besides its key: what comes out of it, and what its pod is.

An edit that leaves the result as it is throws no work away, and one that leaves the pod as it is
helps no pod that does not come to run.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from qmodel.planner import keys
from qmodel.planner.context import Context
from qmodel.planner.observed import JobState, ObservedJob
from qmodel.planner.step import Attempt, StepPlan
from qmodel.planner.wishes import WantJob

_WISH: TypeAdapter[WantJob] = TypeAdapter(WantJob)
_NOT_OF_THE_POD = {
    "name", "step", "key", "attempt", "revision", "containers", "timeout_seconds",
    "result_key", "evaluation_key", "pod_key",
}  # fmt: skip


def followed(plan: StepPlan, jobs: Sequence[ObservedJob]) -> StepPlan:
    """Return the plan with the key of a Job of other inputs, where that makes what is asked too.

    What differs counts once that Job failed.

    Parameters
    ----------
    plan
        The step, by the key of what spec asks now.
    jobs
        All Jobs of this step.
    """
    alive = [job for job in jobs if job.state is not JobState.FAILED]
    if not plan.result_key or any(job.key == plan.key for job in alive):
        return plan
    same = next((job for job in alive if job.result_key == plan.result_key), None)
    return plan if same is None else replace(plan, key=same.key)


def wanted_job(ctx: Context, plan: StepPlan, attempt: Attempt) -> WantJob:
    """Return the wish for one attempt, with what its Job is recognised by."""
    return replace(plan.build(attempt), result_key=plan.result_key, pod_key=pod_key(ctx, plan))


def pod_key(ctx: Context, plan: StepPlan) -> str:
    """Return what identifies the pod that a Job of this step would have now.

    It is that of a first attempt: no edit gives a later one its larger memory. What its containers
    are told is the key's matter, and their images that of a release, which leaves pods alone.
    """
    want = plan.build(Attempt("", 1, plan.key, plan.memory_bytes))
    found = _WISH.dump_python(want, mode="json", exclude_defaults=True, exclude=_NOT_OF_THE_POD)
    given = [(container.memory_bytes, container.cpu) for container in want.containers]
    with_others = want.claim_name is not None and ctx.model.spec.storage.is_on_one_node
    return keys.digest(found, given, with_others)
