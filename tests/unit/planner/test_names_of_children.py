import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmodel.naming import child_name
from unit.planner.values import model
from unit.planner.world import World

LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
PART = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
NAMES = st.lists(st.from_regex(PART, fullmatch=True), min_size=1, max_size=5).map(
    lambda parts: ".".join(parts)[:253].rstrip(".-")
)
"""Every name that Kubernetes gives a custom resource: a DNS subdomain."""
SUFFIXES = ((), ("volume",), ("0a1b2c3d4e",), ("quantize", "0a1b2c3d", "100"))


@given(NAMES)
def test_children_of_any_name_have_legal_labels(name: str) -> None:
    for suffixes in SUFFIXES:
        found = child_name(name, *suffixes)
        assert LABEL.fullmatch(found), found
        assert found.endswith("".join(f"-{part}" for part in suffixes))


@given(NAMES, NAMES)
def test_two_models_never_share_a_child(one: str, other: str) -> None:
    for suffixes in SUFFIXES:
        names = {child_name(one, *suffixes), child_name(other, *suffixes)}
        assert (len(names) == 1) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a" * 60 + "-first", "a" * 60 + "-second"),
        ("a.b", "a-b"),
        ("1a", "m-1a"),
        ("x" * 253, "x" * 252 + "y"),
    ],
)
def test_names_that_nearly_agree_have_different_children(one: str, other: str) -> None:
    for suffixes in SUFFIXES:
        assert child_name(one, *suffixes) != child_name(other, *suffixes)


def test_a_plain_name_is_kept() -> None:
    assert child_name("smollm2") == "smollm2"
    assert child_name("smollm2", "volume") == "smollm2-volume"


@pytest.mark.parametrize("name", ["1.5-b", "a.b.c", "z" * 253, "model-" + "9" * 70])
def test_a_model_of_any_name_is_served(name: str) -> None:
    world = World(model(name=name))
    world.run()
    assert world.service is not None
    names = [*world.jobs, *world.deployments, world.service.name, world.claim_wish.name]  # type: ignore[union-attr]
    assert all(LABEL.fullmatch(each) for each in names)
    assert len(set(names)) == len(names)
    assert world.status.endpoint == f"http://{world.service.name}.team-a.svc/v1"
