from typing import Any

import pytest

from qmodel.cluster.ownership import handing_over, is_held_by_creation
from qmodel.naming import MANAGER

Object = dict[str, Any]
OWNER = 'k:{"uid":"u"}'
CREATION = {
    "manager": MANAGER,
    "operation": "Update",
    "apiVersion": "v1",
    "fieldsType": "FieldsV1",
    "time": "2026-01-01T00:00:00Z",
    "fieldsV1": {
        "f:metadata": {"f:ownerReferences": {".": {}, OWNER: {}}},
        "f:spec": {"f:size": {}, "f:mode": {}},
    },
}
APPLY = {
    **CREATION,
    "operation": "Apply",
    "time": "2026-01-02T00:00:00Z",
    "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:size": {}}},
}
STATUS = {**CREATION, "subresource": "status"}
OTHER = {**CREATION, "manager": "somebody"}


def meta(*managed: Object) -> Object:
    return {"resourceVersion": "7", "managedFields": list(managed)}


@pytest.mark.parametrize(
    ("managed", "is_held"),
    [([CREATION], True), ([APPLY, CREATION], True), ([APPLY, STATUS, OTHER], False), ([], False)],
)
def test_an_update_of_ours_to_the_object_itself_is_its_creation(
    managed: list[Object],
    is_held: bool,  # noqa: FBT001
) -> None:
    assert is_held_by_creation(meta(*managed)) is is_held


def test_metadata_without_managed_fields_says_nothing() -> None:
    assert not is_held_by_creation({})


def test_what_was_only_created_is_then_held_as_applied() -> None:
    entries, version = handing_over(meta(CREATION, OTHER, STATUS))
    assert entries["path"] == "/metadata/managedFields"
    assert entries["value"] == [{**CREATION, "operation": "Apply"}, OTHER, STATUS]
    assert (version["path"], version["value"]) == ("/metadata/resourceVersion", "7")
    assert {entries["op"], version["op"]} == {"replace"}


@pytest.mark.parametrize("managed", [(APPLY, CREATION), (CREATION, APPLY)])
def test_what_was_applied_to_since_is_joined(managed: tuple[Object, ...]) -> None:
    entries, _ = handing_over(meta(OTHER, *managed))
    joined = {
        **APPLY,
        "fieldsV1": {
            "f:metadata": {"f:ownerReferences": {".": {}, OWNER: {}}, "f:labels": {"f:a": {}}},
            "f:spec": {"f:size": {}, "f:mode": {}},
        },
    }
    assert entries["value"] == [joined, OTHER]
