"""`Measured`: what one server really takes, in the serving image, with the serving arguments.

Measured once a revision. Another context or concurrency follows by arithmetic; what changes memory
in other ways (cache type, offloading, arguments) is in the footprint's key and measures anew; so do
other nodes that spec names for GPUs. A Job is told what this release chooses, and is replaced when
another one would choose otherwise: what it reports is what serves.
"""

from functools import partial

from qmodel.api.conditions import ConditionType
from qmodel.api.status import ArtifactStatus, FootprintStatus, SourceStatus
from qmodel.engines import ENGINES, ServerSettings, ServingEngine
from qmodel.planner import context as stage
from qmodel.planner import keys
from qmodel.planner.accelerator import accelerators
from qmodel.planner.artifacts import current_artifact
from qmodel.planner.attempts import Reports, attend
from qmodel.planner.containers import Container, Step
from qmodel.planner.context import Context, StageResult
from qmodel.planner.engine import engine_of, gpu_count, server_cpu, server_settings
from qmodel.planner.estimates import device_bytes, host_bytes
from qmodel.planner.footprint import current_footprint, named_nodes, serving_key
from qmodel.planner.images import serves
from qmodel.planner.placement import carried, placement
from qmodel.planner.step import Attempt, StepPlan
from qmodel.planner.wishes import WantContainer, WantJob
from qmodel.sizing.steps import measure_bytes
from qmodel.worker.task import MeasureTask, artifact_directory

_TIMEOUT_SECONDS = 7200
"""Loading, starting and what is generated, and on a GPU the prompts too."""
_OPERATIONS_PER_THREAD_SECOND = 5e9
"""What a CPU's thread computes at the least while it fills the context: it does several times as
many alone, but other pods want the cores too, and attention over long prompts is not counted."""
_LONGEST_SECONDS = 7 * 86_400
"""Nobody waits for longer."""


def plan(ctx: Context) -> StageResult:
    """Measure the wanted revision, once its quality allows it."""
    artifact = current_artifact(ctx)
    if artifact is None or not ctx.status.is_true(ConditionType.EVALUATED):
        return stage.waiting(ConditionType.MEASURED, ConditionType.EVALUATED)
    footprint = current_footprint(ctx)
    if footprint is not None:
        return _measured(footprint)
    if ctx.source is None:
        return stage.waiting(ConditionType.MEASURED, ConditionType.INSPECTED)
    step = _step(ctx, ctx.source, artifact)
    return attend(ctx, step, lambda _, reports: _taken(ctx, reports))


def _model_path(artifact: ArtifactStatus) -> str:
    """Return the file that the server loads."""
    return f"{artifact_directory(artifact.revision)}/{artifact.model_path}".removesuffix("/.")


def _step(ctx: Context, source: SourceStatus, artifact: ArtifactStatus) -> StepPlan:
    server, settings = _server(ctx, source, artifact)
    nodes = named_nodes(ctx)
    key = keys.digest(
        ctx.revision,
        ctx.status.claim_uid,
        serving_key(ctx),
        _image(ctx, source),
        server.server_argv(settings),
        server.environment(settings),
        *([nodes] if nodes else []),
    )
    return StepPlan(
        step=Step.MEASURE,
        condition=ConditionType.MEASURED,
        key=key,
        image=_image(ctx, source),
        memory_bytes=measure_bytes(_estimated_bytes(ctx, source, artifact)),
        memory_field="",
        running_message="serving under full load to see what it takes",
        containers=(Container.MEASURE,),
        build=partial(_job, ctx, source, artifact),
    )


def _estimated_bytes(ctx: Context, source: SourceStatus, artifact: ArtifactStatus) -> int:
    """Return the peak of the server in the Job's memory."""
    return host_bytes(ctx.model, source, artifact.weight_bytes, gpu_count(ctx))


def _estimated_device_bytes(
    ctx: Context, source: SourceStatus, artifact: ArtifactStatus
) -> int | None:
    """Return the peak of the server on all its GPUs together; None on a CPU."""
    gpus = gpu_count(ctx)
    return device_bytes(ctx.model, source, artifact.weight_bytes, gpus) if gpus else None


def _image(ctx: Context, source: SourceStatus) -> str:
    """Return the image that serves."""
    images = ctx.observed.installation.images
    return images.named(serves(engine_of(ctx.model, source), gpu_count(ctx)))


def _server(
    ctx: Context, source: SourceStatus, artifact: ArtifactStatus
) -> tuple[ServingEngine, ServerSettings]:
    """Return what is measured, and serves: the engine, and what it is told."""
    settings = server_settings(ctx, source, _model_path(artifact))
    return ENGINES[engine_of(ctx.model, source)], settings


def _job(
    ctx: Context,
    source: SourceStatus,
    artifact: ArtifactStatus,
    attempt: Attempt,
) -> WantJob:
    server, settings = _server(ctx, source, artifact)
    image = _image(ctx, source)
    task = MeasureTask(
        engine=engine_of(ctx.model, source),
        directory=artifact_directory(artifact.revision),
        argv=server.server_argv(settings),
        port=server.port,
        context_length=settings.context_length,
        concurrency=settings.concurrency,
        chats=source.chat_template,
    )
    node_selector, tolerations = placement(ctx)
    chosen = ctx.status.accelerator
    return WantJob(
        name=attempt.name,
        step=Step.MEASURE,
        key=attempt.key,
        attempt=attempt.number,
        revision=artifact.revision,
        containers=(
            WantContainer(
                Container.MEASURE, image, task, attempt.memory_bytes, server_cpu(ctx.model)
            ),
        ),
        timeout_seconds=_timeout_seconds(settings, source.parameters),
        claim_name=ctx.claim_name,
        on_one_node=ctx.model.spec.storage.is_on_one_node,
        accelerators=None if chosen is None else accelerators(chosen),
        node_selector=node_selector,
        tolerations=tolerations,
        env=tuple(ctx.model.spec.serving.env or ()),
        engine_env=server.environment(settings),
        shared_memory_bytes=server.shared_memory_bytes,
        pod_template=carried(ctx, Step.MEASURE),
    )


def _timeout_seconds(settings: ServerSettings, parameters: int) -> int:
    """Return the Job's limit: on a CPU it grows with the work of filling all sequences.

    A token takes a multiplication and an addition for each weight. Of a mixture of experts that is
    more than it takes, which only makes the limit longer.
    """
    if settings.gpus:
        return _TIMEOUT_SECONDS
    operations = 2 * parameters * settings.context_length * settings.concurrency
    filling = operations / (settings.threads * _OPERATIONS_PER_THREAD_SECOND)
    return min(_TIMEOUT_SECONDS + round(filling), _LONGEST_SECONDS)


def _taken(ctx: Context, reports: Reports) -> StageResult:
    found = reports[Container.MEASURE].footprint
    artifact, source = current_artifact(ctx), ctx.source
    if found is None or artifact is None or source is None:
        return stage.blocked(
            ConditionType.MEASURED, "ReportInvalid", "the measure Job reported no footprint"
        )
    server, settings = _server(ctx, source, artifact)
    footprint = FootprintStatus(
        revision=artifact.revision,
        image=_image(ctx, source),
        engine=engine_of(ctx.model, source),
        argv=server.server_argv(settings),
        engine_env=server.environment(settings),
        key=serving_key(ctx),
        node_selector=named_nodes(ctx),
        estimated_peak_bytes=_estimated_bytes(ctx, source, artifact),
        estimated_device_bytes=_estimated_device_bytes(ctx, source, artifact),
        **found.model_dump(),
    )
    return StageResult(_measured(footprint).verdict, {"footprint": footprint})


def _measured(found: FootprintStatus) -> StageResult:
    on_gpu = (
        f" and {found.device_bytes / 2**20:.0f} MiB of GPU memory" if found.device_bytes else ""
    )
    message = (
        f"{found.peak_bytes / 2**20:.0f} MiB{on_gpu} at "
        f"{found.concurrency} x {found.context_length} "
        f"tokens, {found.tokens_per_second:.0f} tokens/s; "
        f"{found.estimated_peak_bytes / 2**20:.0f} MiB were estimated"
    )
    return stage.done(ConditionType.MEASURED, "Measured", message)
