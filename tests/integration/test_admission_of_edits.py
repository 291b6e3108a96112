"""Which edits the API server refuses: those that a volume which is there cannot follow."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster import target
from cluster.commands import ClusterError
from integration.resources import changed

EDITS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("access mode", {}, {"accessMode": "ReadWriteMany"}, "storage.accessMode cannot change"),
    (
        "access mode left out",
        {"accessMode": "ReadWriteMany"},
        {},
        "storage.accessMode cannot change",
    ),
    (
        "class",
        {"storageClassName": "slow"},
        {"storageClassName": "fast"},
        "storage.storageClassName cannot change",
    ),
    (
        "class that was the default",
        {},
        {"storageClassName": "fast"},
        "storage.storageClassName cannot change",
    ),
    ("access mode that was the default", {}, {"accessMode": "ReadWriteOnce"}, ""),
    ("size", {"size": "1Gi"}, {"size": "2Gi"}, ""),
    ("to a claim of the user", {}, {"existingClaim": "mine", "accessMode": "ReadWriteMany"}, ""),
    ("from a claim of the user", {"existingClaim": "mine"}, {"storageClassName": "fast"}, ""),
]
"""Storage before and after, of a model whose volume is there, and what is said of that."""


@pytest.fixture
def kept() -> Iterator[str]:
    """Yield the name that a resource may be kept under for a while."""
    yield "edited"
    target.kubectl(["delete", "qm/edited", "-n", "default", "--ignore-not-found", "--wait=false"])


def stored(name: str, storage: dict[str, Any]) -> str:
    """Return a suspended resource with that storage, as YAML."""
    resource = changed({"suspend": True, "storage": storage})
    resource["metadata"]["name"] = name
    return yaml.safe_dump(resource)


def edited(name: str, before: dict[str, Any], after: dict[str, Any], status: dict[str, Any]) -> str:
    """Keep a resource with that status, and ask what the API server makes of another storage."""
    target.kubectl(["apply", "-f", "-"], stdin=stored(name, before))
    patch = ["--subresource=status", "--type=merge", "-p", json.dumps({"status": status})]
    target.kubectl(["patch", f"qm/{name}", "-n", "default", *patch])
    return target.kubectl(["apply", "--dry-run=server", "-f", "-"], stdin=stored(name, after))


@pytest.mark.parametrize(
    ("before", "after", "said"), [edit[1:] for edit in EDITS], ids=[edit[0] for edit in EDITS]
)
def test_an_edit_that_a_volume_cannot_follow_is_refused(
    kept: str, before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    if not said:
        assert kept in edited(kept, before, after, {"claimUid": "uid"})
        return
    with pytest.raises(ClusterError) as refused:
        edited(kept, before, after, {"claimUid": "uid"})
    assert said in str(refused.value)


def test_storage_may_change_until_the_volume_is_made(kept: str) -> None:
    assert kept in edited(kept, {}, {"accessMode": "ReadWriteMany"}, {"stage": "Suspended"})
