"""Inspect: what a source is, from its headers alone, and whether the recipe can work on it.

Whatever cannot work is refused here, before a volume is made or a byte of weights is fetched.
"""

from qmodel.api.methods import Method
from qmodel.worker.errors import UnsupportedModel
from qmodel.worker.inspect.gguf_model import inspect_gguf
from qmodel.worker.inspect.safetensors_model import inspect_safetensors
from qmodel.worker.inspect.select import select
from qmodel.worker.progress import Progress
from qmodel.worker.report import Inspection
from qmodel.worker.sources import Source, open_source
from qmodel.worker.task import InspectTask

__all__ = ["inspect", "run"]


def run(task: InspectTask, progress: Progress) -> Inspection:
    """Resolve a source and read its headers.

    Raises
    ------
    StepError
        Saying what was found and what would be needed.
    """
    progress.at(0, "resolving the source")
    source = open_source(task.source)
    progress.at(0.2, "reading headers")
    inspection = inspect(source, task.method)
    progress.at(1, f"{inspection.architecture} with {inspection.parameters:,} parameters")
    return inspection


def inspect(source: Source, method: Method) -> Inspection:
    """Return what the headers of an open source say."""
    selection = select(source)
    if selection.format == "gguf":
        if method is not Method.NONE:
            message = (
                f"{selection.weights[0]} is GGUF already: use quantization.method None to serve it"
                f" as it is; method {method.value} needs safetensors"
            )
            raise UnsupportedModel(message)
        return inspect_gguf(source, selection)
    return inspect_safetensors(source, selection, method)
