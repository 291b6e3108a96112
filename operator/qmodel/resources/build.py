"""From a wish to the object that the API server is asked for."""

from typing import Any, cast

from qmodel.api.resource import QuantizedModel
from qmodel.planner.wishes import WantClaim, WantDeployment, WantJob
from qmodel.resources import claim, deployment, job, service
from qmodel.resources.metadata import Child


def build(model: QuantizedModel, want: Child, version: str) -> dict[str, Any]:
    """Return the child that a wish asks for.

    Parameters
    ----------
    model
        The model that the child belongs to.
    want
        What is asked for.
    version
        Version of the operator; noted on the child, and no reason to change it.
    """
    match want:
        case WantJob():
            built: object = job.build(model, want, version)
        case WantDeployment():
            built = deployment.build(model, want, version)
        case WantClaim():
            built = claim.build(model, want, version)
        case _:
            built = service.build(model, want, version)
    return cast("dict[str, Any]", built)
