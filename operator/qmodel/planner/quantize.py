"""`Quantized` and `Evaluated`: one pod makes the artifact, then loads it back and judges it.

The artifact is made by an init container, so that the main container evaluates what was saved. A
changed evaluation runs the same Job again: the artifact is found complete and not made twice. The
gate itself is judged here, from numbers in status, so that a changed gate runs nothing.
"""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from qmodel.api.conditions import ConditionType
from qmodel.api.methods import Backend, Method
from qmodel.api.quantities import bytes_of
from qmodel.api.status import ArtifactStatus, EvaluationStatus, SourceStatus
from qmodel.api.texts import TextSource
from qmodel.planner import context as stage
from qmodel.planner import gate, keys
from qmodel.planner.accelerator import accelerators
from qmodel.planner.artifacts import current_artifact, kept_revisions, serving_artifact
from qmodel.planner.attempts import Reports, attend
from qmodel.planner.containers import Container, Step
from qmodel.planner.context import Context, StageResult
from qmodel.planner.estimates import quantize_bytes, quantize_shared_bytes
from qmodel.planner.fetch import source_directory
from qmodel.planner.images import evaluates, quantizes
from qmodel.planner.observed import ObservedJob
from qmodel.planner.placement import carried, placement
from qmodel.planner.recipes import recipe
from qmodel.planner.sources import source_name
from qmodel.planner.step import Attempt, StepPlan
from qmodel.planner.storage import forgetting, noting_growth
from qmodel.planner.wishes import Accelerators, WantContainer, WantJob
from qmodel.sizing.bounds import quality_bounds
from qmodel.sizing.processors import threads
from qmodel.worker.recipe_words import in_words
from qmodel.worker.report import Artifact
from qmodel.worker.task import (
    EVALUATION_FILE,
    EvaluateTask,
    QuantizeTask,
    artifact_directory,
)

DEFAULT_CPU = "500m"
"""CPU request of a quantize Job where the user names none."""


def plan_artifact(ctx: Context) -> StageResult:
    """Make the artifact of the wanted revision; the Job evaluates it too."""
    if not ctx.status.is_true(ConditionType.FETCHED) or ctx.source is None:
        return stage.waiting(ConditionType.QUANTIZED, ConditionType.FETCHED)
    artifact = current_artifact(ctx)
    if artifact is not None:
        return _made(artifact)
    step = _step(ctx, ConditionType.QUANTIZED)
    if ctx.status.artifact != serving_artifact(ctx) and not ctx.model.spec.suspend:
        return forgetting(step, {"artifact": None})
    return noting_growth(ctx, attend(ctx, step, lambda job, reports: _taken(ctx, job, reports)))


def plan_evaluation(ctx: Context) -> StageResult:
    """Judge the evaluation of the wanted revision against the gate that spec has now.

    Where another one is needed, the Job that told of the artifact stays until status tells of it.
    """
    if current_artifact(ctx) is None or not ctx.status.is_true(ConditionType.FETCHED):
        return stage.waiting(ConditionType.EVALUATED, ConditionType.QUANTIZED)
    evaluation = ctx.status.evaluation
    if evaluation is not None and _is_current(ctx, evaluation):
        return _judged(ctx, evaluation)
    step = _step(ctx, ConditionType.EVALUATED)
    if ctx.status.artifact != ctx.model.status.artifact:
        return stage.working(step.condition, step.running_message, timedelta(0))
    return attend(ctx, step, lambda job, reports: _taken(ctx, job, reports))


def _is_current(ctx: Context, evaluation: EvaluationStatus) -> bool:
    return evaluation.revision == ctx.revision and evaluation.key == keys.evaluation_key(
        ctx.model.spec
    )


def _taken(ctx: Context, job: ObservedJob, reports: Reports) -> StageResult:
    """Keep the artifact and the evaluation of a complete Job, which may be on a text of before."""
    revision = ctx.revision or ""
    made = reports[Container.QUANTIZE].artifact
    if made is None:
        return stage.blocked(
            ConditionType.QUANTIZED, "ReportInvalid", "the quantize Job reported no artifact"
        )
    artifact = ArtifactStatus(revision=revision, **made.model_dump())
    key = job.evaluation_key or keys.evaluation_key(ctx.model.spec)
    judged = reports[Container.EVALUATE].evaluation if Container.EVALUATE in reports else None
    if judged is None:
        evaluation = EvaluationStatus(revision=revision, key=key, applicable=False)
    else:
        evaluation = gate.to_status(judged, revision, key)
    updates = {"artifact": artifact, "evaluation": evaluation}
    if current_artifact(ctx) is None:
        return StageResult(_made(artifact).verdict, updates)
    judged_now = _judged(ctx, evaluation)
    return StageResult(judged_now.verdict, {**updates, **judged_now.updates})


def _judged(ctx: Context, evaluation: EvaluationStatus) -> StageResult:
    """Return the verdict under the gate that spec has now, and what it holds to."""
    asked = ctx.model.spec.quality_gate
    if not evaluation.applicable:
        return replace(gate.not_applicable(), updates={"quality_bounds": None})
    bounds = quality_bounds(asked, recipe(ctx.model.spec.quantization))
    result = gate.judge(bounds, asked.on_failure, evaluation)
    return replace(result, updates={"quality_bounds": bounds})


def _made(artifact: Artifact) -> StageResult:
    name = "" if artifact.model_path == "." else f"{artifact.model_path}, "
    message = f"{name}{artifact.weight_bytes / 1e6:.0f} MB of weights"
    return stage.done(ConditionType.QUANTIZED, "ArtifactComplete", message)


def _step(ctx: Context, condition: ConditionType) -> StepPlan:
    spec = ctx.model.spec
    source = ctx.source
    if source is None:
        message = "an artifact is made only from a resolved source"
        raise ValueError(message)
    quantizing = condition is ConditionType.QUANTIZED
    evaluates = spec.quantization.method is not Method.NONE
    asked = spec.quantization.resources
    made_of = [ctx.revision, ctx.status.claim_uid]
    evaluated_on = keys.evaluation_key(spec)
    key = keys.digest(
        *made_of, spec.storage.size, evaluated_on, None if asked is None else asked.to_wire()
    )
    memory_bytes = (
        bytes_of(asked.memory)
        if asked is not None and asked.memory is not None
        else quantize_bytes(spec, source, _accelerator_count(ctx))
    )
    return StepPlan(
        step=Step.QUANTIZE,
        condition=condition,
        key=key,
        image=ctx.observed.installation.images.named(quantizes(spec.quantization.chosen_backend)),
        memory_bytes=memory_bytes,
        memory_field="spec.quantization.resources.memory",
        running_message=_doing(ctx, quantizing=quantizing),
        containers=(Container.QUANTIZE, Container.EVALUATE) if evaluates else (Container.QUANTIZE,),
        build=partial(_job, ctx, source),
        result_key=keys.digest(*made_of, *([] if quantizing else [evaluated_on])),
        timeout_field="spec.quantization.timeoutSeconds",
    )


def _doing(ctx: Context, *, quantizing: bool) -> str:
    """Say what runs, in words."""
    if not quantizing:
        return "comparing the artifact with the unquantized model"
    spec = ctx.model.spec.quantization
    if spec.method is Method.NONE:
        return "taking the source as it is"
    return f"making {in_words(recipe(spec))}, of revision {ctx.revision}"


def _job(ctx: Context, source: SourceStatus, attempt: Attempt) -> WantJob:
    spec = ctx.model.spec
    images, backend = ctx.observed.installation.images, spec.quantization.chosen_backend
    asked = spec.quantization.resources
    cpu = asked.cpu if asked is not None and asked.cpu is not None else DEFAULT_CPU
    containers = [
        WantContainer(
            Container.QUANTIZE,
            images.named(quantizes(backend)),
            _quantize_task(ctx, source, threads(cpu)),
            attempt.memory_bytes,
            cpu,
        )
    ]
    if backend is not None:
        task = _evaluate_task(ctx, source, threads(cpu))
        image = images.named(evaluates(backend))
        containers.append(WantContainer(Container.EVALUATE, image, task, attempt.memory_bytes, cpu))
    node_selector, tolerations = placement(ctx)
    return WantJob(
        name=attempt.name,
        step=Step.QUANTIZE,
        key=attempt.key,
        attempt=attempt.number,
        revision=ctx.revision or "",
        containers=tuple(containers),
        timeout_seconds=spec.quantization.timeout_seconds,
        claim_name=ctx.claim_name,
        on_one_node=ctx.model.spec.storage.is_on_one_node,
        calibration=_calibration_text(ctx),
        evaluation=spec.quality_gate.text,
        evaluation_key=keys.evaluation_key(spec),
        accelerators=_accelerators(ctx),
        shared_memory_bytes=quantize_shared_bytes(spec, source, _accelerator_count(ctx)),
        node_selector=node_selector,
        tolerations=tolerations,
        pod_template=carried(ctx, Step.QUANTIZE, on_gpus=_accelerator_count(ctx) > 0),
    )


def _calibration_text(ctx: Context) -> TextSource | None:
    """Return the user's text to calibrate with."""
    asked = ctx.model.spec.quantization.calibration
    return None if asked is None else asked.text


def _accelerators(ctx: Context) -> Accelerators | None:
    """Return the GPUs of the Job: llama.cpp quantizes on the CPU, and so does nothing at all."""
    if ctx.model.spec.quantization.chosen_backend in (None, Backend.LLAMA_CPP):
        return None
    chosen = ctx.status.accelerator
    return None if chosen is None else accelerators(chosen)


def _accelerator_count(ctx: Context) -> int:
    found = _accelerators(ctx)
    return 0 if found is None else found.count


def _quantize_task(ctx: Context, source: SourceStatus, thread_count: int) -> QuantizeTask:
    spec = ctx.model.spec
    revision = ctx.revision or ""
    return QuantizeTask(
        source_directory=source_directory(source),
        directory=artifact_directory(revision),
        revision=revision,
        recipe=recipe(spec.quantization),
        source_repository=source_name(spec.source),
        source_revision=source.source_revision,
        keep_revisions=kept_revisions(ctx),
        threads=thread_count,
    )


def _evaluate_task(ctx: Context, source: SourceStatus, thread_count: int) -> EvaluateTask:
    return EvaluateTask(
        source_directory=source_directory(source),
        directory=artifact_directory(ctx.revision or ""),
        text_file=None if ctx.model.spec.quality_gate.text is None else EVALUATION_FILE,
        threads=thread_count,
    )
