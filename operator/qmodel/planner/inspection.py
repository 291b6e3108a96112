"""`Inspected`: resolve the source once, then judge whether what is asked is possible."""

from qmodel.api.conditions import ConditionType
from qmodel.api.methods import Method
from qmodel.api.resource import QuantizedModel
from qmodel.api.status import SourceStatus
from qmodel.planner import context as stage
from qmodel.planner import keys, serving_fit
from qmodel.planner.attempts import Reports, attend
from qmodel.planner.context import Context, StageResult
from qmodel.planner.model import Container, Step, WantContainer, WantJob
from qmodel.planner.placement import carried
from qmodel.planner.sources import source_access, source_task
from qmodel.planner.step import StepPlan
from qmodel.sizing.bits_per_weight import ROW_MULTIPLES
from qmodel.sizing.steps import INSPECT_BYTES
from qmodel.worker.task import InspectTask

_TIMEOUT_SECONDS = 600
_CPU = "100m"


def plan(ctx: Context) -> StageResult:
    """Resolve the source by a Job, or judge the one that is resolved already."""
    source = ctx.source
    if source is None:
        return attend(ctx, _step(ctx), lambda reports: _resolved(ctx, reports))
    return _judged(ctx.model, source)


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
        running_reason="Inspecting",
        running_message="reading the headers of the source",
        containers=(Container.INSPECT,),
        build=lambda name, attempt, memory: _job(ctx, name, attempt, memory, key),
    )


def _job(ctx: Context, name: str, attempt: int, memory_bytes: int, key: str) -> WantJob:
    spec = ctx.model.spec
    installation = ctx.observed.installation
    task = InspectTask(
        source=source_task(spec.source, installation), method=spec.quantization.method
    )
    container = WantContainer(
        Container.INSPECT, installation.images.operator, task, memory_bytes, _CPU
    )
    return WantJob(
        name=name,
        step=Step.INSPECT,
        key=key,
        attempt=attempt,
        revision="",
        containers=(container,),
        timeout_seconds=_TIMEOUT_SECONDS,
        source=source_access(spec.source, installation),
        node_selector=spec.quantization.node_selector or {},
        tolerations=tuple(spec.quantization.tolerations or ()),
        pod_template=carried(ctx, Step.INSPECT),
    )


def _resolved(ctx: Context, reports: Reports) -> StageResult:
    """Keep what the Job found."""
    found = reports[Container.INSPECT].inspection
    if found is None:
        return stage.blocked(
            ConditionType.INSPECTED, "ReportInvalid", "the inspect Job reported no inspection"
        )
    source = SourceStatus(key=ctx.source_key, **found.model_dump())
    judged = _judged(ctx.model, source)
    return StageResult(judged.verdict, {"source": source})


def _misfit(model: QuantizedModel, source: SourceStatus) -> StageResult | None:
    """Return why llama.cpp cannot write the asked type for this model, if it cannot."""
    quantization = model.spec.quantization
    if quantization.method is not Method.GGUF:
        return None
    wanted = quantization.gguf_options.type
    multiple = ROW_MULTIPLES.get(wanted, 1)
    if source.hidden_size % multiple == 0:
        return None
    message = (
        f"spec.quantization.gguf.type is {wanted}, which needs rows divisible by {multiple}, but "
        f"the model's hidden size is {source.hidden_size}: use another type, such as Q2_K"
    )
    return stage.blocked(ConditionType.INSPECTED, "TypeDoesNotFit", message)


def _judged(model: QuantizedModel, source: SourceStatus) -> StageResult:
    """Say what the source is, or why what is asked of it cannot be."""
    refused = serving_fit.problem(model, source)
    if refused is not None:
        return stage.blocked(ConditionType.INSPECTED, *refused)
    misfit = _misfit(model, source)
    if misfit is not None:
        return misfit
    message = (
        f"{source.architecture} with {source.parameters / 1e6:.0f} M weights "
        f"at revision {source.source_revision}"
    )
    return stage.done(ConditionType.INSPECTED, "Resolved", message)
