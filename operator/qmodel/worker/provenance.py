"""`provenance.json`: what an artifact was made from, how, and with which libraries."""

from pydantic import JsonValue

from qmodel.worker.backends import CalibrationSet
from qmodel.worker.task import QuantizeTask

PROVENANCE = "provenance.json"


def of(
    task: QuantizeTask, libraries: dict[str, JsonValue], calibration: dict[str, JsonValue] | None
) -> dict[str, JsonValue]:
    """Return the provenance, which the manifest holds too."""
    facts: dict[str, JsonValue] = {
        "source": {"repository": task.source_repository, "revision": task.source_revision},
        "revision": task.revision,
        "recipe": task.recipe.to_wire(),
        "libraries": libraries,
    }
    return facts if calibration is None else facts | {"calibration": calibration}


def of_samples(calibration: CalibrationSet) -> dict[str, JsonValue]:
    """Return what identifies the samples that a method observed the model with."""
    return {
        "kind": calibration.kind,
        "samples": len(calibration.sequences),
        "tokens": sum(map(len, calibration.sequences)),
        "digest": calibration.digest,
    }
