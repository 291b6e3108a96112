"""Leaving nothing behind: processes, mounts, links, rules and folders of the cluster."""

import os
import re
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cluster import node, processes
from cluster.commands import ClusterError, run, succeeds, wait_until
from cluster.settings import COMPONENTS, CONTAINERD_SOCKET, LINK, STATE

KILLED = {"kube-apiserver", "etcd"}
"""Without etcd an API server's graceful end takes minutes, and after a kill nothing is missing."""

OUR_CHAINS = re.compile(r"\b(KUBE-|CNI-)")
LOG_LINKS = Path("/var/log/containers")
NETWORK_RESULTS = Path("/var/lib/cni/results")
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
FIXED_FOLDERS = (
    DEVICE_PLUGINS,
    DEVICE_PLUGINS.parent,
    LOG_LINKS,
    NETWORK_RESULTS,
    NETWORK_RESULTS.parent,
    Path("/run/containerd/s"),
    Path("/run/containerd"),
)
"""Folders that kubelet, shims and network programs make wherever they are told to work."""
GONE_SECONDS = 20


def remove_everything(binaries: Path) -> None:
    """Stop and remove the cluster, whatever state it is in."""
    for name in ("kwok", *COMPONENTS):
        processes.stop(name, signal.SIGKILL if name in KILLED else signal.SIGTERM)
    remove_containers()
    processes.stop("containerd")
    unmount(STATE)
    _remove_network(binaries)
    _remove_fixed_files()
    for folder in node.cgroup_folders():
        _remove_cgroup(folder)
    shutil.rmtree(STATE, ignore_errors=True)
    if STATE.exists():
        message = f"{STATE} cannot be removed; what is in use there?"
        raise ClusterError(message)


def remove_containers() -> None:
    """Kill every process of a pod, then the shims of our containerd and their sockets."""
    sockets = [Path(p.read_text().removeprefix("unix://")) for p in node.RUN.glob("*/*/*/address")]
    _kill_all(_pod_processes)
    _kill_all(_shims)
    for socket in sockets:
        socket.unlink(missing_ok=True)


def unmount(folder: Path) -> None:
    """Unmount all that is mounted at or below a folder, the deepest first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [Path(line.split()[4].encode().decode("unicode_escape")) for line in lines]
    for point in reversed([p for p in points if p == folder or folder in p.parents]):
        run(["umount", "--lazy", point])


def _kill_all(find: Callable[[], list[int]]) -> None:
    def none_left() -> bool:
        pids = find()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    wait_until("the containers' processes are gone", none_left, GONE_SECONDS)


def _pod_processes() -> list[int]:
    """Ids of all processes in our cgroups."""
    found: set[int] = set()
    folders = [below for folder in node.cgroup_folders() for below in _deepest_first(folder)]
    for file in [below / "cgroup.procs" for below in folders]:
        with suppress(OSError):  # a cgroup may go while it is looked at
            found.update(int(pid) for pid in file.read_text().split())
    return sorted(found)


def _shims() -> list[int]:
    """Ids of the processes that our containerd started: they have our socket as an argument."""
    wanted = [b"-address", str(CONTAINERD_SOCKET).encode()]
    return [pid for pid in _all_pids() if _has_arguments(pid, wanted)]


def _all_pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _has_arguments(pid: int, wanted: list[bytes]) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(words[i : i + len(wanted)] == wanted for i in range(len(words)))


def _remove_network(binaries: Path) -> None:
    """Remove the link, the rules of kube-proxy and of the pods, and the pods' addresses."""
    if (STATE / "kube-proxy.yaml").exists():
        succeeds([binaries / "kube-proxy", "--cleanup"], timeout=30)
    for family in ("iptables", "ip6tables"):
        _remove_rules(family)
    for sandbox in (STATE / "containerd").glob("*cri/sandboxes/*"):
        for result in NETWORK_RESULTS.glob(f"*-{sandbox.name}-*"):
            result.unlink()
    if node.has_link():
        run(["ip", "link", "delete", LINK])
    previous = STATE / "ip_forward"
    if previous.exists():
        node.FORWARDING.write_text(previous.read_text())


def _remove_rules(family: str) -> None:
    """Take out the chains that kube-proxy's own clean-up and killed pods leave."""
    rules = run([f"{family}-save"])
    if OUR_CHAINS.search(rules):
        kept = [line for line in rules.splitlines() if not OUR_CHAINS.search(line)]
        run([f"{family}-restore"], stdin="\n".join(kept) + "\n")


def _remove_fixed_files() -> None:
    """Remove what was put beside the folders of this cluster, as far as it is ours."""
    for link in LOG_LINKS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(STATE):
            link.unlink()
    for name in ("kubelet.sock", "kubelet_internal_checkpoint"):
        (DEVICE_PLUGINS / name).unlink(missing_ok=True)
    for folder in FIXED_FOLDERS:
        with suppress(OSError):  # others may have files there
            folder.rmdir()


def _deepest_first(folder: Path) -> list[Path]:
    """Return a folder and all below it; those that go while it is looked at are left out."""
    return [Path(path) for path, _, _ in os.walk(folder, topdown=False)]


def _remove_cgroup(folder: Path) -> None:
    """Remove a cgroup and those below it; the kernel may need a moment after the last process."""

    def removed() -> bool:
        for below in _deepest_first(folder):
            with suppress(OSError):
                below.rmdir()
        return not folder.exists()

    wait_until(f"{folder} is gone", removed, GONE_SECONDS)
