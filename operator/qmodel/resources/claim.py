"""The model's own volume."""

from qmodel.api.quantities import quantity_mib
from qmodel.api.resource import QuantizedModel
from qmodel.planner.wishes import WantClaim
from qmodel.resources.metadata import child_labels, object_meta
from qmodel.resources.types import Claim


def build(model: QuantizedModel, want: WantClaim, version: str) -> Claim:
    """Return the claim; one that outlives its model has no owner."""
    metadata = object_meta(model, want, child_labels(model, "volume"), version)
    if not want.owned:
        del metadata["ownerReferences"]
    claim: Claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {
            "accessModes": [want.access_mode.value],
            "resources": {"requests": {"storage": quantity_mib(want.size_bytes)}},
        },
    }
    if want.storage_class_name is not None:
        claim["spec"]["storageClassName"] = want.storage_class_name
    return claim
