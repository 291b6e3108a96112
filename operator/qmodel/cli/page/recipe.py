"""The resource that makes the same model again."""

from typing import Any

import yaml

from qmodel.api.base import GROUP, KIND, VERSION
from qmodel.api.resource import QuantizedModel


def manifest(model: QuantizedModel) -> str:
    """Return the resource as it was written, its revision pinned to what was resolved.

    Nothing that the API server or the operator set is in it.
    """
    return yaml.safe_dump(
        {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "metadata": {"name": model.name, "namespace": model.namespace},
            "spec": pinned_spec(model),
        },
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


def pinned_spec(model: QuantizedModel) -> dict[str, Any]:
    """Return the fields that the user wrote, and the commit that they led to."""
    spec = model.spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    hub = spec["source"].get("huggingFace")
    if hub is not None and model.status.source is not None:
        hub["revision"] = model.status.source.source_revision
    return spec
