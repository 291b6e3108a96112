"""The model's one address, which sends requests to one revision."""

from qmodel.api.resource import QuantizedModel
from qmodel.naming import HTTP_PORT_NAME, REVISION_LABEL
from qmodel.planner.wishes import WantService
from qmodel.resources.deployment import server_labels
from qmodel.resources.metadata import child_labels, object_meta
from qmodel.resources.types import Service

PORT = 80


def build(model: QuantizedModel, want: WantService, version: str) -> Service:
    """Return the Service; it moves to another revision by its selector."""
    labels = child_labels(model, "service") | {REVISION_LABEL: want.revision}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": object_meta(model, want, labels, version),
        "spec": {
            "type": "ClusterIP",
            "selector": server_labels(model, want.revision),
            "ports": [{"name": HTTP_PORT_NAME, "port": PORT, "targetPort": HTTP_PORT_NAME}],
        },
    }
