"""The cluster of this machine: control plane and node started and stopped as a whole."""

import time
from pathlib import Path

from cluster import (
    archives,
    binaries,
    cleanup,
    controlplane,
    dns,
    node,
    prerequisites,
    processes,
    volumes,
)
from cluster.commands import ClusterError, locked, run, say, step, wait_until
from cluster.settings import CACHE, COMPONENTS, KUBECONFIG, NODE_NAME, STATE

LOCK = CACHE / "cluster.lock"
BOOT = STATE / "boot"
NODE_READY_SECONDS = 90
PROCESSES = {*COMPONENTS, "containerd"}


def up() -> None:
    """Start the cluster, or whatever of it does not run.

    After a crash of single processes those are started again and the objects stay; after a reboot
    the cluster is a new one.
    """
    with locked(LOCK):
        if is_running():
            say(f"The cluster runs already: {KUBECONFIG}")
            return
        prerequisites.ensure()
        programs = binaries.kubernetes()
        started = time.monotonic()
        if STATE.exists() and not _same_boot():
            with step("removing what a reboot left of the former cluster"):
                cleanup.remove_everything(programs)
        _start(programs)
        say(f"The cluster is ready after {time.monotonic() - started:.1f} s: {KUBECONFIG}")


def _start(programs: Path) -> None:
    if not STATE.exists():
        node.clear_network()
    STATE.mkdir(parents=True, exist_ok=True)
    BOOT.write_text(_boot())
    node.start_network()
    with step("control plane"):
        node.start_containerd()
        controlplane.start(programs)
    with step("node"):
        archives.ensure_pause()
        volumes.start(programs)
        dns.start(programs)
        node.start_kubelet(programs)
        kubectl(["apply", "-f", "-"], stdin=f"{volumes.CLASSES}---\n{dns.SERVICE}")
        wait_until("the node is Ready", _node_is_ready, NODE_READY_SECONDS)


def down() -> None:
    """Stop and remove the cluster."""
    with locked(LOCK):
        if not STATE.exists():
            say("There is no cluster.")
            return
        with step("removing the cluster"):
            cleanup.remove_everything(binaries.kubernetes())


def exists() -> bool:
    """Tell whether this cluster was started and not removed."""
    return BOOT.exists()


def is_running() -> bool:
    """Tell whether every process of the cluster runs and the API server answers."""
    names = {process.name for process in processes.running()}
    return names.issuperset(PROCESSES) and controlplane.is_ready()


def kubectl(words: list[str], stdin: str | None = None, timeout: float = 60) -> str:
    """Run kubectl as the administrator; returns its output."""
    program = binaries.kubernetes() / "kubectl"
    return run([program, f"--kubeconfig={KUBECONFIG}", *words], stdin=stdin, timeout=timeout)


def _node_is_ready() -> bool:
    path = "{.status.conditions[?(@.type=='Ready')].status}"
    try:
        return kubectl(["get", "node", NODE_NAME, f"-o=jsonpath={path}"]) == "True"
    except ClusterError:
        return False


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text()


def _same_boot() -> bool:
    return BOOT.exists() and BOOT.read_text() == _boot()
