"""One model as the page sees it: the resource, and what its volume holds."""

from dataclasses import dataclass, field

from qmodel.api.resource import QuantizedModel
from qmodel.cli.artifact import ArtifactFiles


@dataclass(frozen=True, slots=True)
class Subject:
    """One model of a report.

    Parameters
    ----------
    model
        The resource as the API server has it.
    files
        What lies beside the artifact; empty where it was not read.
    trouble
        Why the volume was not read.
    """

    model: QuantizedModel
    files: ArtifactFiles = field(default_factory=ArtifactFiles)
    trouble: str | None = None
