"""`Inspected`: resolve the source once, then judge whether what is asked is possible."""

from functools import partial

from qmodel.api.conditions import ConditionType
from qmodel.api.serving import Engine
from qmodel.api.status import SourceStatus
from qmodel.planner import context as stage
from qmodel.planner import cpu_attention, feasibility, images, keys, nearness, serving_fit
from qmodel.planner.attempts import Reports, attend
from qmodel.planner.containers import Container, Step
from qmodel.planner.context import Context, StageResult
from qmodel.planner.engine import engine_of, gpu_count
from qmodel.planner.footprint import current_footprint
from qmodel.planner.hardware import hardware
from qmodel.planner.placement import carried
from qmodel.planner.recipes import recipe
from qmodel.planner.sources import source_access, source_task
from qmodel.planner.step import Attempt, StepPlan
from qmodel.planner.wishes import WantContainer, WantJob
from qmodel.sizing.steps import INSPECT_BYTES
from qmodel.worker.task import InspectTask

_TIMEOUT_SECONDS = 600
_CPU = "100m"


def resolve(ctx: Context) -> StageResult:
    """Resolve the source by a Job, once for what spec asks."""
    if ctx.source is not None:
        return StageResult()
    return attend(ctx, _step(ctx), lambda _, reports: _taken(ctx, reports))


def judge(ctx: Context) -> StageResult:
    """Say what the resolved source is, or why what is asked of it cannot be."""
    source = ctx.source
    if source is None:
        return StageResult()
    refused = (
        serving_fit.problem(ctx.model, source)
        or nearness.problem(ctx.model)
        or _recipe_problem(ctx, source)
        or serving_fit.variables_problem(ctx, source)
    )
    if refused is not None:
        return stage.blocked(ConditionType.INSPECTED, *refused)
    message = (
        f"{source.architecture} with {source.parameters / 1e6:.0f} M weights "
        f"at revision {source.source_revision}"
    )
    return stage.done(ConditionType.INSPECTED, "Resolved", message)


def _step(ctx: Context) -> StepPlan:
    spec = ctx.model.spec
    key = keys.digest(spec.source.to_wire(), spec.quantization.method)
    return StepPlan(
        step=Step.INSPECT,
        condition=ConditionType.INSPECTED,
        key=key,
        image=ctx.observed.installation.images.operator,
        memory_bytes=INSPECT_BYTES,
        memory_field="",
        running_message="reading the headers of the source",
        containers=(Container.INSPECT,),
        build=partial(_job, ctx),
    )


def _job(ctx: Context, attempt: Attempt) -> WantJob:
    spec = ctx.model.spec
    installation = ctx.observed.installation
    task = InspectTask(
        source=source_task(spec.source, installation), method=spec.quantization.method
    )
    container = WantContainer(
        Container.INSPECT, installation.images.operator, task, attempt.memory_bytes, _CPU
    )
    return WantJob(
        name=attempt.name,
        step=Step.INSPECT,
        key=attempt.key,
        attempt=attempt.number,
        revision="",
        containers=(container,),
        timeout_seconds=_TIMEOUT_SECONDS,
        source=source_access(spec.source, installation),
        node_selector=spec.quantization.node_selector or {},
        tolerations=tuple(spec.quantization.tolerations or ()),
        pod_template=carried(ctx, Step.INSPECT),
    )


def _taken(ctx: Context, reports: Reports) -> StageResult:
    """Keep the Job's findings; the judgement follows in the same pass."""
    found = reports[Container.INSPECT].inspection
    if found is None:
        return stage.blocked(
            ConditionType.INSPECTED, "ReportInvalid", "the inspect Job reported no inspection"
        )
    return StageResult(updates={"source": SourceStatus(key=ctx.source_key, **found.model_dump())})


def _recipe_problem(ctx: Context, source: SourceStatus) -> tuple[str, str] | None:
    """Return why the recipe cannot work here.

    What was measured on its hardware works: nodes that leave later do not make it impossible.
    """
    if current_footprint(ctx) is not None:
        return None
    spec = ctx.model.spec
    device = hardware(
        ctx.status.accelerator,
        ctx.observed.nodes,
        spec.accelerator.resource_name,
        spec.serving.tensor_parallel_size,
    )
    engine = engine_of(ctx.model, source)
    refused = feasibility.problem(recipe(spec.quantization), source, engine, device)
    if refused is None and engine is Engine.VLLM:
        refused = cpu_attention.problem(source.kv, spec.serving.kv_cache_type, device)
    return refused or _image_problem(ctx, engine)


def _image_problem(ctx: Context, engine: Engine) -> tuple[str, str] | None:
    """Return which image is missing for what is still to be done."""
    backend = ctx.model.spec.quantization.chosen_backend
    judges = () if backend is None else (images.evaluates(backend),)
    needed = (images.quantizes(backend), *judges, images.serves(engine, gpu_count(ctx)))
    return images.problem(ctx.observed.installation.images, needed)
