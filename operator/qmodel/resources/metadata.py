"""Labels, annotations and owners: how a child is found, recognised and deleted."""

import json
from typing import Any

from pydantic import TypeAdapter

from qmodel.api.base import GROUP, KIND, VERSION
from qmodel.api.resource import QuantizedModel
from qmodel.naming import (
    COMPONENT_LABEL,
    DESIRED_ANNOTATION,
    MODEL_ANNOTATION,
    VERSION_ANNOTATION,
    labels_of_all,
    short_hash,
)
from qmodel.planner.wishes import WantClaim, WantDeployment, WantJob, WantService
from qmodel.resources.types import Labels, ObjectMeta, OwnerReference

Child = WantJob | WantClaim | WantDeployment | WantService
"""What becomes an object."""

_CHILD: TypeAdapter[Any] = TypeAdapter(Child)


def desired_hash(want: Child) -> str:
    """Return what tells whether a child is as wanted.

    It is made of the wish and not of the object, and leaves out what has its default: another
    version of the operator, whose objects differ or whose wishes have more fields, changes nothing
    that nobody asked to change. Nor does another order of names, which the API server sorts.
    """
    wish = _CHILD.dump_python(want, mode="json", exclude_defaults=True)
    return short_hash(f"{want.name}:{json.dumps(wish, sort_keys=True)}")


def child_labels(model: QuantizedModel, component: str) -> Labels:
    """Return the labels that all our children carry, and which of them this is."""
    return {**labels_of_all(model.name, model.uid), COMPONENT_LABEL: component}


def object_meta(model: QuantizedModel, want: Child, labels: Labels, version: str) -> ObjectMeta:
    """Return the metadata of a child that is deleted with its model."""
    return {
        "name": want.name,
        "namespace": model.namespace,
        "labels": labels,
        "annotations": {
            MODEL_ANNOTATION: model.name,
            DESIRED_ANNOTATION: desired_hash(want),
            VERSION_ANNOTATION: version,
        },
        "ownerReferences": [{**owner(model), "controller": True}],
    }


def owner(model: QuantizedModel) -> OwnerReference:
    """Return the reference to the model, which never blocks its deletion."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "name": model.name,
        "uid": model.uid,
    }
