"""Apply to Ready, against the same tools run by hand one after another on the same machine.

By hand is one plain pod on a plain folder, without operator, Jobs and volumes: it downloads,
converts and quantizes, evaluates, measures and serves, each step as a container that follows the
last, with the images and command lines that the operator gave its own pods. The operator's run
comes first, and inspects too; by hand nobody does.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.setting import prepared
from e2e.kube import Object
from e2e.models import CORE, SMOLLM2, Models, from_hub, spec

NAME = "bench-overhead"
CONTEXT_LENGTH = 4096
SECONDS = 1800
MOST_FACTOR = 1.10
MOST_EXTRA_SECONDS = 15
JOBS = ("inspect", "fetch", "quantize", "measure")
SERVER = "server"
NOT_BY_HAND = ("inspect", "verify")
"""Reading headers before a download, and the whole artifact before it is served."""


@dataclass(frozen=True)
class Run:
    """A container from its start to its end; of the server to its readiness."""

    name: str
    started: datetime
    ended: datetime

    @property
    def seconds(self) -> float:
        return (self.ended - self.started).total_seconds()


def main() -> int:
    """Print both, and where the rest goes; return 1 if the operator adds more than is allowed."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder, prepared(Path(folder)) as (models, _):
        console.print("by the operator ...")
        began = time.monotonic()
        serving = {"contextLength": CONTEXT_LENGTH}
        created = models.apply(NAME, spec(from_hub(SMOLLM2), "Q8_0", serving=serving))
        models.wait_ready(NAME, SECONDS)
        total = time.monotonic() - began
        pods = _pods(models)
        console.print("by hand ...")
        by_hand = _by_hand(models, pods)
    runs = [run for pod in pods for run in _runs(pod)]
    console.print(_table(_time(created["metadata"]["creationTimestamp"]), runs, by_hand))
    hand_seconds = (by_hand[-1].ended - by_hand[0].started).total_seconds()
    allowed = MOST_FACTOR * hand_seconds + MOST_EXTRA_SECONDS
    console.print(
        f"apply to Ready {total:.0f} s, by hand {hand_seconds:.0f} s: "
        f"{total / hand_seconds:.2f}x; allowed are {MOST_FACTOR:.2f}x and {MOST_EXTRA_SECONDS} s, "
        f"which is {allowed:.0f} s",
        soft_wrap=True,
    )
    return 0 if total <= allowed else 1


def _pods(models: Models) -> list[Object]:
    """Return the operator's pods in the order of the pipeline."""
    return [models.pods(NAME, step)[0] for step in (*JOBS, SERVER)]


def _runs(pod: Object) -> Iterator[Run]:
    """Yield when each container of a pod ran."""
    status = pod["status"]
    for each in [*status.get("initContainerStatuses", []), *status["containerStatuses"]]:
        ended = each["state"].get("terminated")
        if ended:
            yield Run(each["name"], _time(ended["startedAt"]), _time(ended["finishedAt"]))
        else:
            ready = next(c for c in status["conditions"] if c["type"] == "Ready")
            started = _time(each["state"]["running"]["startedAt"])
            yield Run(each["name"], started, _time(ready["lastTransitionTime"]))


def _by_hand(models: Models, pods: list[Object]) -> list[Run]:
    """Run the same containers in one pod; return when each ran."""
    containers = [
        _alone(container)
        for pod in pods
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        if container["name"] not in NOT_BY_HAND
    ]
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": pods[-1]["spec"]["securityContext"],
            "initContainers": containers[:-1],
            "containers": containers[-1:],
            "volumes": [{"name": "artifacts", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
        },
    }
    path = models.path(CORE, "pods", "by-hand")
    models.kube.apply(path, body)
    pod = models.kube.wait(path, _is_over, SECONDS, "ready")
    return list(_runs(pod))


def _alone(container: Object) -> Object:
    """Return a container as it can be run in another pod."""
    kept = ("name", "image", "command", "args", "env", "resources", "securityContext", "ports")
    found = {key: container[key] for key in kept if key in container}
    mounts = [
        {"name": "artifacts", "mountPath": "/artifacts"},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    found |= {"imagePullPolicy": "IfNotPresent", "volumeMounts": mounts}
    if "readinessProbe" in container:
        found["readinessProbe"] = {**container["readinessProbe"], "periodSeconds": 1}
    return found


def _is_over(pod: Object | None) -> bool:
    """Tell whether a pod serves; one that failed never will."""
    status = {} if pod is None else pod["status"]
    if status.get("phase") == "Failed":
        message = f"by hand a step failed: {status.get('initContainerStatuses')}"
        raise RuntimeError(message)
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _table(began: datetime, runs: list[Run], by_hand: list[Run]) -> Table:
    """Return each step's time in both, and how long the operator's waited before it."""
    hand_seconds = {run.name: run.seconds for run in by_hand}
    table = Table(title="Seconds of each step")
    for title in ("step", "by hand", "by the operator", "before it"):
        table.add_column(title, justify="right")
    last = began
    for run in runs:
        hand = hand_seconds.get(run.name)
        before = (run.started - last).total_seconds()
        shown = "" if hand is None else f"{hand:.0f}"
        table.add_row(run.name, shown, f"{run.seconds:.0f}", f"{before:.0f}")
        last = run.ended
    waited = (last - began).total_seconds() - sum(run.seconds for run in runs)
    table.add_row("all", f"{sum(hand_seconds.values()):.0f}", "", f"{waited:.0f}")
    return table
