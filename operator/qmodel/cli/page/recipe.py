"""The resource that makes the same model again."""

from typing import Any

import yaml

from qmodel.api.base import GROUP, KIND, VERSION
from qmodel.api.resource import QuantizedModel

_PINNED = ("huggingFace", "oci")
"""Sources whose content has an immutable name."""


def manifest(model: QuantizedModel) -> str:
    """Return the resource as it was written, its revision pinned to what was resolved.

    Nothing that the API server or the operator set is in it. What lies in a bucket or on a volume
    cannot be pinned: a comment tells its digest.
    """
    return _comment(model) + yaml.safe_dump(
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
    """Return the fields that the user wrote, and the commit or digest that they led to."""
    spec = model.spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    if model.status.source is None:
        return spec
    hub, oci = (spec["source"].get(kind) for kind in _PINNED)
    revision = model.status.source.source_revision
    if hub is not None:
        hub["revision"] = revision
    if oci is not None:
        oci["reference"] = f"{oci['reference'].partition('@')[0]}@{revision}"
    return spec


def _comment(model: QuantizedModel) -> str:
    """Return the digest of a source that a resource cannot pin, as a line before it."""
    if model.status.source is None or set(pinned_spec(model)["source"]) & set(_PINNED):
        return ""
    return f"# made of files with the digest {model.status.source.source_revision}\n"
