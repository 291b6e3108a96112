"""Edits that a volume which is there cannot follow: the access mode and class of a claim are fixed.

Whether it is there is known from status, so these rules are the whole resource's. Pydantic sees one
spec and not the one before, and has nothing like them.
"""

from qmodel.api.base import cel, rules
from qmodel.api.serving import AccessMode

_PLACE = ".spec.storage"


def _is_yours(resource: str) -> str:
    """Return CEL for whether the volume is a claim of the user."""
    storage = f"{resource}{_PLACE}"
    return f"(has({storage}) && has({storage}.existingClaim))"


def _value(resource: str, field: str, absent: str) -> str:
    """Return CEL for the value of a field, and for what its absence means."""
    storage = f"{resource}{_PLACE}"
    return f"(has({storage}) && has({storage}.{field}) ? {storage}.{field} : '{absent}')"


def _kept(field: str, absent: str) -> dict[str, str]:
    """Return the rule that keeps a field as it is while the operator's own volume is there."""
    rule = cel(
        "!has(oldSelf.status) || !has(oldSelf.status.claimUid)"
        f" || {_is_yours('oldSelf')} || {_is_yours('self')}"
        f" || {_value('self', field, absent)} == {_value('oldSelf', field, absent)}",
        f"storage.{field} cannot change once the volume is made: delete the model and create it"
        " anew, or name a claim of yours in storage.existingClaim",
    )
    return {**rule, "fieldPath": _PLACE}


VOLUME_RULES = rules(_kept("accessMode", AccessMode.READ_WRITE_ONCE), _kept("storageClassName", ""))
"""What the schema of the whole resource carries."""
