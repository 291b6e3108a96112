"""What a new cluster makes sure of on a machine that had one before."""

import json
import socket
from collections.abc import Sequence

import pytest

from cluster import node
from cluster.commands import ClusterError


def test_links_that_a_killed_cluster_left_are_removed_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses = {"lo": ["127.0.0.1"], "eth0": ["192.0.2.2"], "veth1": ["10.98.0.1"], "veth2": []}
    found = [
        {"ifname": name, "addr_info": [{"local": each} for each in local]}
        for name, local in addresses.items()
    ]
    asked: list[Sequence[object]] = []

    def run(words: Sequence[object]) -> str:
        asked.append(words)
        return json.dumps(found)

    monkeypatch.setattr(node, "run", run)
    monkeypatch.setattr(node, "has_link", lambda: False)
    node.clear_network()
    assert asked[1:] == [["ip", "link", "delete", "veth1"]]


def test_a_cluster_that_runs_with_its_state_elsewhere_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node, "run", lambda _: pytest.fail("something was removed"))
    monkeypatch.setattr(node, "has_link", lambda: True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(node, "NODE_ADDRESS", "127.0.0.1")
        monkeypatch.setattr(node, "API_PORT", server.getsockname()[1])
        with pytest.raises(ClusterError, match="QMODEL_STATE"):
            node.clear_network()
