"""The node: its address, containerd, kubelet and kube-proxy."""

import ipaddress
import json
import shutil
import socket
from contextlib import suppress
from pathlib import Path

from cluster import processes
from cluster.certificates import certificate, key, kubeconfig
from cluster.commands import ClusterError, run, succeeds
from cluster.settings import (
    API_PORT,
    API_SERVER,
    CLUSTER_DOMAIN,
    CONTAINERD_SOCKET,
    DNS_SERVICE_ADDRESS,
    LINK,
    NODE_ADDRESS,
    NODE_NAME,
    POD_RANGE,
    STATE,
)

CGROUP_ROOT = "qmodel"
"""Below it the kubelet puts all pods, so that `down` finds every process of theirs."""

CNI_PROGRAMS = "/usr/lib/cni"
NETWORK = "qmodel"
PAUSE = "localhost/qmodel/pause:catatonit"
"""Image of every pod's sandbox."""

RUN = STATE / "run"
READY_SECONDS = 60
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def start_network() -> None:
    """Give this machine the node's address and let it forward between pods."""
    if not has_link():
        run(["ip", "link", "add", LINK, "type", "bridge"])
    run(["ip", "address", "replace", f"{NODE_ADDRESS}/32", "dev", LINK])
    run(["ip", "link", "set", LINK, "up"])
    previous = STATE / "ip_forward"
    if not previous.exists():
        previous.write_text(FORWARDING.read_text())
    FORWARDING.write_text("1\n")


def clear_network() -> None:
    """Make sure that a new cluster finds no links of pods; their routes would hide its own pods.

    They stay where a cluster was killed and its state is elsewhere (`QMODEL_STATE`) or lost.
    """
    if has_link() and _api_answers():
        message = (
            f"Another cluster of this project runs on this machine: {API_SERVER} answers, but"
            f" {STATE} does not exist. Stop it first (its QMODEL_STATE is another one)."
        )
        raise ClusterError(message)
    gateway = str(next(ipaddress.ip_network(POD_RANGE).hosts()))
    for link in json.loads(run(["ip", "-json", "-4", "address", "show"])):
        if gateway in {address["local"] for address in link["addr_info"]}:
            run(["ip", "link", "delete", link["ifname"]])


def has_link() -> bool:
    """Tell whether the link with the node's address exists."""
    return succeeds(["ip", "link", "show", LINK])


def _api_answers() -> bool:
    with suppress(OSError), socket.create_connection((NODE_ADDRESS, API_PORT), timeout=2):
        return True
    return False


def start_containerd() -> None:
    """Start containerd with a root, state and socket of its own; returns when it answers."""
    config = STATE / "containerd.toml"
    config.write_text(_containerd_config())
    network = STATE / "cni"
    network.mkdir(exist_ok=True)
    (network / "qmodel.conflist").write_text(_network_config())
    process = processes.start("containerd", ["containerd", "--config", config])
    processes.wait_ready(process, lambda: succeeds([*ctr(), "version"]), READY_SECONDS)


def start_kubelet(binaries: Path) -> None:
    """Start the kubelet and kube-proxy; the node gets Ready a moment later."""
    for hierarchy in cgroup_folders():
        hierarchy.mkdir(exist_ok=True)
    config = STATE / "kubelet.yaml"
    config.write_text(_kubelet_config())
    processes.start(
        "kubelet",
        [
            binaries / "kubelet",
            f"--config={config}",
            f"--kubeconfig={kubeconfig('kubelet')}",
            f"--root-dir={STATE / 'kubelet'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={NODE_ADDRESS}",
        ],
    )
    processes.start("kube-proxy", [binaries / "kube-proxy", f"--config={_proxy_config()}"])


def ctr() -> list[str]:
    """Command words of containerd's own client, on our containerd."""
    return ["ctr", "--address", str(CONTAINERD_SOCKET), "--namespace", "k8s.io"]


def cgroup_folders() -> list[Path]:
    """Return our cgroup in each hierarchy; version 2 has one, version 1 one a controller."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return [root / CGROUP_ROOT]
    return [hierarchy / CGROUP_ROOT for hierarchy in root.iterdir() if hierarchy.is_dir()]


def _containerd_config() -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "{STATE / "containerd"}"
state = "{RUN}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
path = "{STATE / "opt"}"
[{cri}]
sandbox_image = "{PAUSE}"
# Without CAP_SYS_RESOURCE a score below this process's own is refused, and every sandbox dies.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
disable_tcp_service = true
[{cri}.cni]
bin_dir = "{CNI_PROGRAMS}"
conf_dir = "{STATE / "cni"}"
[{cri}.containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
Root = "{STATE / "runc"}"
"""


def _network_config() -> str:
    """Point-to-point links: all traffic is routed, so that kube-proxy's rules see all of it.

    On a bridge, answers between two pods go around them unless br_netfilter is loaded.
    """
    return f"""\
{{
  "cniVersion": "0.4.0",
  "name": "{NETWORK}",
  "plugins": [{{
    "type": "ptp",
    "ipMasq": true,
    "ipam": {{
      "type": "host-local",
      "dataDir": "{STATE / "addresses"}",
      "ranges": [[{{"subnet": "{POD_RANGE}"}}]],
      "routes": [{{"dst": "0.0.0.0/0"}}]
    }}
  }}]
}}
"""


def _kubelet_config() -> str:
    return f"""\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {NODE_ADDRESS}
healthzBindAddress: 127.0.0.1
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: {certificate("authority")}}}
authorization: {{mode: Webhook}}
tlsCertFile: {certificate("apiserver")}
tlsPrivateKeyFile: {key("apiserver")}
containerRuntimeEndpoint: unix://{CONTAINERD_SOCKET}
cgroupDriver: cgroupfs
cgroupRoot: /{CGROUP_ROOT}
failCgroupV1: false
failSwapOn: false
clusterDNS: [{DNS_SERVICE_ADDRESS}]
clusterDomain: {CLUSTER_DOMAIN}
resolvConf: ""
podLogsDir: {STATE / "pod-logs"}
volumePluginDir: {STATE / "volume-plugins"}
staticPodPath: ""
maxPods: 250
registryPullQPS: 0
serializeImagePulls: false
imageMaximumGCAge: 0s
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
nodeStatusUpdateFrequency: 5s
syncFrequency: 10s
# The disk is the machine's own; how full that is says nothing about this cluster.
evictionHard: {{memory.available: 100Mi, nodefs.available: "0%", nodefs.inodesFree: "0%", \
imagefs.available: "0%", imagefs.inodesFree: "0%"}}
"""


def _proxy_config() -> Path:
    config = STATE / "kube-proxy.yaml"
    config.write_text(f"""\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {{kubeconfig: {kubeconfig("proxy")}}}
bindAddress: {NODE_ADDRESS}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
hostnameOverride: {NODE_NAME}
mode: iptables
clusterCIDR: {POD_RANGE}
conntrack: {{maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
""")
    return config


def pause_program() -> Path:
    """Path of the program that every pod's sandbox runs."""
    return Path(shutil.which("catatonit") or "/usr/bin/catatonit")
