"""`Available`: the servers of the wanted revision answer; until then the old ones do.

A revision's servers are one Deployment. The Service moves to a new revision once that is available,
and only when requests reach it do the old servers go. Whatever fails on the way, what serves is
left alone.
"""

from datetime import timedelta

from qmodel.api.conditions import ConditionType
from qmodel.api.quantities import quantity_mib
from qmodel.api.serving import PodTemplate
from qmodel.api.status import Rollout, Sizing
from qmodel.engines import ENGINES
from qmodel.naming import MODEL_UID_LABEL, SERVER_LABELS, child_name
from qmodel.planner import context as stage
from qmodel.planner.artifacts import current_artifact
from qmodel.planner.context import Context, StageResult
from qmodel.planner.failures import OUT_OF_MEMORY
from qmodel.planner.footprint import current_footprint
from qmodel.planner.observed import ObservedDeployment, Refusal
from qmodel.planner.placement import placement
from qmodel.planner.server_trouble import SERVE, killed_for_memory, raised, trouble
from qmodel.planner.size import sizing_key
from qmodel.planner.step import stored_record, with_record
from qmodel.planner.wishes import Remove, WantDeployment, WantService, Wish

_LEAST_STARTUP_SECONDS = 120
_STARTUP_FACTOR = 20
"""A server may take this many times the measured load time: other pods load at the same time."""


def plan(ctx: Context) -> StageResult:
    """Roll out the wanted revision beside the one that serves."""
    candidate = _candidate(ctx)
    serving = ctx.status.rollout
    if ctx.model.spec.suspend and candidate != serving:
        return _suspended(ctx, serving)
    if candidate is None:
        result = stage.waiting(ConditionType.AVAILABLE, ConditionType.SIZED)
        return result.adding(*_keep(ctx, serving), *_abandoned(ctx, serving))
    if _is_up(ctx, candidate, serving):
        return _roll(ctx, candidate)
    return _start(ctx, serving, candidate)


def _suspended(ctx: Context, serving: Rollout | None) -> StageResult:
    """Keep what serves as it is."""
    message = "spec.suspend is true: nothing is rolled out"
    result = stage.blocked(ConditionType.AVAILABLE, "Suspended", message)
    return result.adding(*_keep(ctx, serving))


def _candidate(ctx: Context) -> Rollout | None:
    """Return the wanted revision's rollout, once everything about it is known."""
    artifact, footprint = current_artifact(ctx), current_footprint(ctx)
    sizing, chosen = ctx.status.sizing, ctx.status.accelerator
    ready = ctx.status.is_true(ConditionType.SIZED)
    if not ready or artifact is None or footprint is None or sizing is None or chosen is None:
        return None
    serving = ctx.model.spec.serving
    selector, tolerations = placement(ctx)
    template = serving.pod_template or PodTemplate()
    candidate = Rollout(
        revision=artifact.revision,
        image=footprint.image,
        engine=footprint.engine,
        engine_env=footprint.engine_env,
        claim_name=ctx.claim_name,
        on_one_node=ctx.model.spec.storage.is_on_one_node,
        argv=ENGINES[footprint.engine].resized(
            footprint.argv,
            context_length=sizing.context_length,
            concurrency=sizing.concurrency,
            kv_bytes=sizing.kv_bytes,
        ),
        sizing=Sizing(**sizing.model_dump(exclude={"key"})),
        accelerator=chosen,
        env=serving.env or [],
        pod_template=template.model_copy(
            update={"node_selector": selector, "tolerations": list(tolerations)}
        ),
        startup_seconds=max(_LEAST_STARTUP_SECONDS, int(_STARTUP_FACTOR * footprint.load_seconds)),
    )
    return _as_it_serves(ctx, candidate)


def _as_it_serves(ctx: Context, candidate: Rollout) -> Rollout:
    """Return what serves where only a release's patience with a start differs: no need to roll."""
    serving = ctx.status.rollout
    if serving is None:
        return candidate
    patient = candidate.updated({"startup_seconds": serving.startup_seconds})
    return serving if patient == serving else candidate


def _keep(ctx: Context, serving: Rollout | None) -> tuple[Wish, ...]:
    """Return the wishes that keep what serves."""
    if serving is None:
        return ()
    return (_deployment(ctx, serving), _service(ctx, serving.revision))


def _is_up(ctx: Context, candidate: Rollout, serving: Rollout | None) -> bool:
    """Whether a revision is what serves, or may be; of the first, one server is enough."""
    found = ctx.observed.deployment(candidate.revision)
    if serving is None:
        return found is not None and (found.available or found.ready_replicas > 0)
    return serving.revision == candidate.revision or (found is not None and found.available)


def _roll(ctx: Context, candidate: Rollout) -> StageResult:
    """Hand over to a revision, or adjust the one that serves."""
    result = _state(ctx, candidate)
    updates = {
        **result.updates,
        "rollout": candidate,
        "serving_revision": candidate.revision,
    }
    others = _others(ctx, candidate.revision)
    wishes = (*_keep(ctx, candidate), *(others if _is_reached(ctx, candidate.revision) else ()))
    return StageResult(result.verdict, updates, wishes, result.requeue_after)


def _start(ctx: Context, serving: Rollout | None, candidate: Rollout) -> StageResult:
    """Bring the candidate up, beside what serves if anything does."""
    result = _state(ctx, candidate)
    kept = _keep(ctx, candidate if serving is None else serving)
    return result.adding(*kept, _deployment(ctx, candidate), *_abandoned(ctx, serving))


def _abandoned(ctx: Context, serving: Rollout | None) -> tuple[Wish, ...]:
    """Return the removal of servers that were never handed over to and are no longer wanted.

    What they hold may be what the next step waits for.
    """
    if serving is not None:
        return _others(ctx, serving.revision, ctx.revision)
    if ctx.revision is None or ctx.model.spec.suspend:
        return ()
    answering = [d.revision for d in ctx.observed.deployments if d.ready_replicas]
    return _others(ctx, ctx.revision, *answering)


def _others(ctx: Context, *revisions: str | None) -> tuple[Wish, ...]:
    """Return the removal of the servers of all other revisions."""
    return tuple(
        Remove("Deployment", d.name, d.uid)
        for d in ctx.observed.deployments
        if d.revision not in revisions
    )


def _is_reached(ctx: Context, revision: str) -> bool:
    """Whether requests to the model's address reach this revision, if it has servers at all."""
    service = ctx.observed.service
    if service is None or service.revision != revision:
        return False
    return service.answers or ctx.model.spec.serving.replicas == 0


def _deployment(ctx: Context, rollout: Rollout) -> WantDeployment:
    name = child_name(ctx.model.name, rollout.revision)
    return WantDeployment(name, rollout, ctx.model.spec.serving.replicas)


def _service(ctx: Context, revision: str) -> WantService:
    return WantService(child_name(ctx.model.name), revision)


def _state(ctx: Context, candidate: Rollout) -> StageResult:
    """Return how the servers of the candidate are doing."""
    found = ctx.observed.deployment(candidate.revision)
    refused = _refused(ctx, candidate)
    if refused is not None:
        return stage.troubled(ConditionType.AVAILABLE, refused.reason, refused.message)
    starting = stage.working(
        ConditionType.AVAILABLE, f"starting the servers of {candidate.revision}"
    )
    if found is None:
        return starting
    if found.available and found.replicas == ctx.model.spec.serving.replicas:
        is_reached = _is_reached(ctx, candidate.revision)
        return _available(ctx, found) if is_reached else starting
    return _out_of_memory(ctx, candidate, found) or trouble(found, ctx.now) or starting


def _out_of_memory(
    ctx: Context, candidate: Rollout, found: ObservedDeployment
) -> StageResult | None:
    """Give the servers one larger try, then stop."""
    key = sizing_key(candidate.revision, candidate.sizing)
    record = stored_record(ctx, SERVE, key)
    if not killed_for_memory(found, candidate.sizing.memory_bytes):
        return None
    if record is not None:
        message = (
            f"killed for memory with {quantity_mib(record.memory_bytes)} too: please report this"
        )
        return stage.blocked(ConditionType.AVAILABLE, OUT_OF_MEMORY, message)
    larger = raised(key, candidate.sizing.memory_bytes, candidate.image, ctx.now)
    message = f"{larger.last_message}; trying {quantity_mib(larger.memory_bytes)}"
    result = stage.troubled(ConditionType.AVAILABLE, OUT_OF_MEMORY, message, timedelta(0))
    return with_record(ctx, result, larger)


def _refused(ctx: Context, candidate: Rollout) -> Refusal | None:
    """Return the API server's refusal of the servers or their address."""
    names = {_deployment(ctx, candidate).name, _service(ctx, candidate.revision).name}
    kinds = {"Deployment", "Service"}
    return next((r for r in ctx.observed.refusals if r.kind in kinds and r.name in names), None)


def _available(ctx: Context, found: ObservedDeployment) -> StageResult:
    wanted = ctx.model.spec.serving.replicas
    if wanted == 0:
        return stage.done(ConditionType.AVAILABLE, "ScaledToZero", "no server is asked for")
    message = f"{found.ready_replicas} of {wanted} servers answer"
    return stage.done(ConditionType.AVAILABLE, "Answering", message)


def summary(ctx: Context) -> dict[str, object]:
    """Return the status fields that speak of what serves now."""
    serving = ctx.status.rollout
    if serving is None:
        return {}
    found = ctx.observed.deployment(serving.revision)
    labels = {MODEL_UID_LABEL: ctx.model.uid, **SERVER_LABELS}
    selector = ",".join(f"{name}={value}" for name, value in labels.items())
    name = _service(ctx, serving.revision).name
    return {
        "replicas": 0 if found is None else found.replicas,
        "selector": selector,
        "endpoint": f"http://{name}.{ctx.model.namespace}.svc/v1",
    }
