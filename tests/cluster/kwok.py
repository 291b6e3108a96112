"""Nodes that kwok pretends: they take pods and report them as running, without containers.

They carry the taint `kwok.x-k8s.io/node=fake:NoSchedule`, so that a pod which must really run
never lands on one: a pod that may has to tolerate it.
"""

import json
from pathlib import Path
from typing import Any

from cluster import binaries, gpus, processes, target
from cluster.commands import run, step
from cluster.settings import KWOK_VERSION, STATE

KEY = "kwok.x-k8s.io/node"
SELECTOR = f"{KEY}=fake"
POD_RANGE = "10.99.0.1/16"
CAPACITY = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": "250"}
STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
STAGE_FOLDER = "kustomize/stage"
POD_END = "pod-complete.yaml"
LEASE_SECONDS = 40
READY_SECONDS = 120
DELETE_SECONDS = 300


def up(nodes: int, pod_end: Path | None, offer: gpus.Gpus | None) -> None:
    """Start the kwok controller and register nodes that it keeps Ready.

    Parameters
    ----------
    nodes
        How many.
    pod_end
        File of Stages that say how pods end (a report, out of memory), instead of kwok's own
        stage, which completes every pod of a Job at once.
    offer
        GPUs of each node.
    """
    with step(f"{nodes} nodes of kwok"):
        processes.start("kwok", _command(pod_end))
        items = [_node(f"kwok-{index}", offer) for index in range(nodes)]
        manifest = {"apiVersion": "v1", "kind": "List", "items": items}
        target.kubectl(["apply", "--server-side", "-f", "-"], stdin=json.dumps(manifest))
        wait = ["wait", "node", f"--selector={SELECTOR}", "--for=condition=Ready"]
        target.kubectl([*wait, f"--timeout={READY_SECONDS}s"], timeout=READY_SECONDS + 10)


def down() -> None:
    """Remove the nodes with their pods, and stop the controller."""
    names = target.kubectl(["get", "nodes", f"--selector={SELECTOR}", "--output=name"]).split()
    for name in (name.removeprefix("node/") for name in names):
        pods = ["delete", "pods", "--all-namespaces", f"--field-selector=spec.nodeName={name}"]
        target.kubectl([*pods, "--force", "--grace-period=0"], timeout=DELETE_SECONDS)
    if names:
        target.kubectl(["delete", *names], timeout=DELETE_SECONDS)
    processes.stop("kwok")
    (STATE / "kwok.kubeconfig").unlink(missing_ok=True)


def _command(pod_end: Path | None) -> list[str | Path]:
    kubeconfig = STATE / "kwok.kubeconfig"
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(target.kubeconfig())
    return [
        binaries.kwok(),
        f"--kubeconfig={kubeconfig}",
        f"--manage-nodes-with-annotation-selector={SELECTOR}",
        f"--cidr={POD_RANGE}",
        # Without leases a node is not heard of for minutes, and its pods count as not ready.
        f"--node-lease-duration-seconds={LEASE_SECONDS}",
        *(f"--config={path.resolve()}" for path in _stages(pod_end)),
    ]


def _stages(pod_end: Path | None) -> list[Path]:
    """Return kwok's own stages, as its module has them, with the end of pods exchanged."""
    module = f"sigs.k8s.io/kwok@{KWOK_VERSION}"
    folder = Path(json.loads(run(["go", "mod", "download", "-json", module], timeout=300))["Dir"])
    left_out = {"kustomization.yaml"} | ({POD_END} if pod_end else set())
    found = [path for name in STAGES for path in (folder / STAGE_FOLDER / name).glob("*.yaml")]
    stages = sorted(path for path in found if path.name not in left_out)
    return [*stages, pod_end] if pod_end else stages


def _node(name: str, offer: gpus.Gpus | None) -> dict[str, Any]:
    capacity = CAPACITY | ({gpus.RESOURCE: str(offer.count)} if offer else {})
    labels = {KEY: "fake", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {KEY: "fake"},
            "labels": labels | (offer.labels() if offer else {}),
        },
        "spec": {"taints": [{"key": KEY, "value": "fake", "effect": "NoSchedule"}]},
        "status": {"capacity": capacity, "allocatable": capacity},
    }
