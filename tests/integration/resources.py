"""A resource that is taken, and the same with other fields."""

from copy import deepcopy
from typing import Any

MINIMAL: dict[str, Any] = {
    "apiVersion": "qmodel.dev/v1alpha1",
    "kind": "QuantizedModel",
    "metadata": {"name": "admitted", "namespace": "default"},
    "spec": {
        "source": {"huggingFace": {"repository": "HuggingFaceTB/SmolLM2-135M-Instruct"}},
        "quantization": {"method": "GGUF", "gguf": {"type": "Q4_K_M"}},
    },
}


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the minimal resource with fields of spec replaced; None takes one away."""
    resource = deepcopy(MINIMAL)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = resource["spec"]
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return resource
