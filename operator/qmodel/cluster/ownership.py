"""Who holds a child's fields, so that a field that is no longer wanted goes.

A child is created by POST, lest an object of that name be taken over. To the API server that is an
Update by us, which holds every field for good; what we apply later is another writer's. An apply
removes what it leaves out only where nobody else holds it: what the creation had would never go.
So what our Update holds is handed over to our Apply before a child is applied to, as `csaupgrade`
of client-go does for `kubectl apply`.
"""

from functools import reduce

from qmodel.cluster.parse import Object
from qmodel.naming import MANAGER


def is_held_by_creation(meta: Object) -> bool:
    """Whether an object's creation still holds fields of ours, as its metadata tell."""
    return any(e["operation"] == "Update" for e in meta.get("managedFields", ()) if _is_ours(e))


def handing_over(meta: Object) -> list[Object]:
    """Return the JSON patch by which only our applies hold our fields, and of others' nothing goes.

    Parameters
    ----------
    meta
        Metadata of an object that its creation holds fields of. The patch is refused as a conflict
        if the object has changed since.
    """
    managed = meta["managedFields"]
    ours = [entry for entry in managed if _is_ours(entry)]
    newest = min(ours, key=lambda entry: str(entry["operation"]))  # an Apply, if there is one
    fields = reduce(_union, (entry["fieldsV1"] for entry in ours))
    held = {**newest, "operation": "Apply", "fieldsV1": fields}
    entries = [held, *(entry for entry in managed if not _is_ours(entry))]
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]},
    ]


def _is_ours(entry: Object) -> bool:
    """Whether an entry of managedFields is of what we wrote to the object itself."""
    return entry["manager"] == MANAGER and not entry.get("subresource")


def _union(some: Object, more: Object) -> Object:
    """Return the fields of two FieldsV1 trees, in which a leaf is an empty object."""
    return {**some, **{name: _union(some.get(name, {}), more[name]) for name in more}}
