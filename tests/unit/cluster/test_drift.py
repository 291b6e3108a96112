import pytest

from qmodel.cluster.drift import has_drifted, lacks

WANTED = {"replicas": 1, "containers": [{"name": "c", "args": ["--x"], "env": []}]}


@pytest.mark.parametrize(
    "found",
    [
        WANTED,
        {**WANTED, "added": "by the API server"},
        {"replicas": 1, "containers": [{"name": "c", "args": ["--x"], "imagePullPolicy": "X"}]},
    ],
)
def test_what_others_add_is_theirs(found: object) -> None:
    assert not has_drifted(WANTED, found)


@pytest.mark.parametrize(
    "found",
    [
        {},
        None,
        {**WANTED, "replicas": 2},
        {"replicas": 1, "containers": []},
        {"replicas": 1, "containers": [{"name": "c", "args": ["--y"]}]},
        {"replicas": 1, "containers": [{"name": "c", "args": ["--x"]}, {"name": "sidecar"}]},
        {"replicas": 1, "containers": "none"},
    ],
)
def test_what_is_missing_or_changed_is_drift(found: object) -> None:
    assert has_drifted(WANTED, found)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("1024Mi", "1Gi"), ("1000m", "1"), ("1", 1), (0, None), ("", None), (False, None)],
)
def test_the_same_in_other_words_is_no_drift(wanted: object, found: object) -> None:
    assert not has_drifted(wanted, found)


@pytest.mark.parametrize(("wanted", "found"), [("1Gi", "2Gi"), ("a", "b"), (1, None), (True, None)])
def test_other_values_are_drift(wanted: object, found: object) -> None:
    assert has_drifted(wanted, found)


def test_what_others_added_to_a_list_is_not_lacking() -> None:
    assert not lacks([{"port": 80}], [{"port": 81}, {"port": 80, "protocol": "TCP"}])
    assert lacks([{"port": 80}], [{"port": 81}])
    assert lacks([{"port": 80}], None)
    assert lacks({"a": "b"}, {"a": "c"})
