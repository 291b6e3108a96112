"""A valid model with overrides, and what its steps report where all goes well."""

from dataclasses import fields
from itertools import pairwise
from typing import Any

from qmodel.api.resource import QuantizedModel
from qmodel.api.serving import KVCacheType
from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import QuantizedModelStatus
from qmodel.naming import short_hash
from qmodel.planner.containers import Container
from qmodel.planner.installation import Images, Installation
from qmodel.planner.wishes import WantContainer
from qmodel.sizing.load import Load
from qmodel.sizing.memory import MEMORY
from qmodel.worker.report import Artifact, Evaluation, Failure, Fetched, Inspection, Report
from qmodel.worker.task import InspectTask, MeasureTask
from unit.sizing.values import INSPECTION, MIB, footprint


def images(version: int = 1) -> Images:
    """Return all images of a release."""
    names = (field.name for field in fields(Images))
    return Images(**{name: f"{name.replace('_', '-')}:{version}" for name in names})


IMAGES = images()
INSTALLATION = Installation(images=IMAGES, hub_endpoint="https://hub.example")

EVALUATION = Evaluation(
    base_perplexity=20,
    perplexity=20.4,
    perplexity_ratio=1.02,
    perplexity_ratio_error=0.004,
    mean_kl_divergence=0.01,
    mean_kl_divergence_error=0.001,
    top_token_agreement=0.95,
    top_token_agreement_error=0.01,
    tokens=8000,
    text="BuiltIn",
    text_digest="0" * 64,
    seconds=12,
    peak_bytes=900 * MIB,
)
BAD_EVALUATION = EVALUATION.model_copy(update={"perplexity": 40.0, "perplexity_ratio": 2.0})


def spec(**overrides: Any) -> QuantizedModelSpec:
    """Return the least spec, with members of it replaced, as users write them."""
    least = {
        "source": {"huggingFace": {"repository": "example/smollm2"}},
        "quantization": {"method": "GGUF", "gguf": {"type": "Q4_K_M"}},
    }
    return QuantizedModelSpec.model_validate(least | overrides)


def model(name: str = "smollm2", **overrides: Any) -> QuantizedModel:
    """Return a model that was just created."""
    return QuantizedModel(
        name=name,
        namespace="team-a",
        uid="uid-of-the-model",
        generation=1,
        spec=spec(**overrides),
        status=QuantizedModelStatus(),
    )


def source_of(task: InspectTask) -> Inspection:
    """Return an inspection that differs wherever the source does."""
    digest = short_hash(task.source.model_dump_json(), 16)
    return INSPECTION.model_copy(update={"source_digest": digest})


def success(container: WantContainer) -> Report:
    """Return the report of a container that did what it was told."""
    task = container.task
    match container.name:
        case Container.INSPECT:
            assert isinstance(task, InspectTask)
            return Report(step="inspect", inspection=source_of(task))
        case Container.FETCH:
            return Report(step="fetch", fetched=Fetched(bytes=INSPECTION.source_bytes, files=5))
        case Container.QUANTIZE:
            return Report(step="quantize", artifact=ARTIFACT)
        case Container.EVALUATE:
            return Report(step="evaluate", evaluation=EVALUATION)
        case Container.MEASURE:
            assert isinstance(task, MeasureTask)
            return Report(step="measure", footprint=_measured(task))


def failure(step: str, reason: str, message: str = "", retry: int | None = None) -> Report:
    """Return the report of a step that failed."""
    text = message or f"{reason} happened"
    found = Failure(reason=reason, message=text, retry_after_seconds=retry)
    return Report(step=step, failure=found)


def _measured(task: MeasureTask) -> Any:
    length, slots = task.context_length, task.concurrency
    told = dict(pairwise(task.argv)).get("--cache-type-k")
    kind = None if told is None else KVCacheType(told.upper())
    kv_bytes = MEMORY[task.engine].kv_bytes(INSPECTION, Load(length, slots, kind))
    return footprint(
        context_length=length,
        concurrency=slots,
        kv_bytes=kv_bytes,
        peak_bytes=220 * MIB + kv_bytes,
    )


ARTIFACT = Artifact(
    model_path="model-Q4_K_M.gguf",
    files=3,
    bytes=106 * MIB,
    weight_bytes=105 * MIB,
    digest="d" * 64,
    seconds=30,
    peak_bytes=900 * MIB,
)
