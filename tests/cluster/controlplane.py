"""etcd, API server, controller manager and scheduler, as processes of this machine."""

import http.client
import ssl
from pathlib import Path

from cluster import certificates, processes
from cluster.certificates import certificate, key, kubeconfig
from cluster.settings import (
    API_PORT,
    ETCD_PORT,
    NODE_ADDRESS,
    SERVICE_RANGE,
    STATE,
)

READY_SECONDS = 90
ETCD_URL = f"https://127.0.0.1:{ETCD_PORT}"
ISSUER = "https://kubernetes.default.svc"
UNTHROTTLED = ("--kube-api-qps=500", "--kube-api-burst=1000")
"""20 and 50 requests a second otherwise: many models would wait for these, and what an operator
adds would not be seen."""


def start(binaries: Path) -> None:
    """Start what does not run; returns when the API server is ready."""
    certificates.ensure()
    etcd = processes.start("etcd", _etcd(binaries))
    apiserver = processes.start("kube-apiserver", _apiserver(binaries))
    processes.start("kube-controller-manager", _controller_manager(binaries))
    processes.start("kube-scheduler", _scheduler(binaries))
    processes.wait_ready(apiserver, lambda: etcd.alive and is_ready(), READY_SECONDS)


def is_ready() -> bool:
    """Ask the API server whether it and its start-up hooks are ready."""
    context = ssl.create_default_context(cafile=certificate("authority"))
    context.load_cert_chain(certificate("admin"), key("admin"))
    try:
        connection = http.client.HTTPSConnection(NODE_ADDRESS, API_PORT, timeout=2, context=context)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _etcd(binaries: Path) -> list[str | Path]:
    peers = f"http://127.0.0.1:{ETCD_PORT + 1}"
    return [
        binaries / "etcd",
        f"--data-dir={STATE / 'etcd'}",
        "--unsafe-no-fsync",  # a test cluster need not survive a power cut
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        f"--cert-file={certificate('apiserver')}",
        f"--key-file={key('apiserver')}",
        f"--trusted-ca-file={certificate('authority')}",
        "--client-cert-auth",
        "--quota-backend-bytes=4294967296",
        "--log-level=warn",
    ]


def _apiserver(binaries: Path) -> list[str | Path]:
    return [
        binaries / "kube-apiserver",
        f"--advertise-address={NODE_ADDRESS}",
        f"--bind-address={NODE_ADDRESS}",
        f"--secure-port={API_PORT}",
        "--allow-privileged",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--cert-dir={STATE / 'apiserver'}",
        f"--etcd-servers={ETCD_URL}",
        f"--etcd-cafile={certificate('authority')}",
        f"--etcd-certfile={certificate('etcd-client')}",
        f"--etcd-keyfile={key('etcd-client')}",
        f"--client-ca-file={certificate('authority')}",
        f"--tls-cert-file={certificate('apiserver')}",
        f"--tls-private-key-file={key('apiserver')}",
        f"--kubelet-certificate-authority={certificate('authority')}",
        f"--kubelet-client-certificate={certificate('kubelet-client')}",
        f"--kubelet-client-key={key('kubelet-client')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={key('service-account')}",
        f"--service-account-signing-key-file={key('service-account')}",
    ]


def _controller_manager(binaries: Path) -> list[str | Path]:
    return [
        binaries / "kube-controller-manager",
        f"--kubeconfig={kubeconfig('controller-manager')}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={STATE / 'controller-manager'}",
        f"--flex-volume-plugin-dir={STATE / 'volume-plugins'}",
        "--leader-elect=false",
        *UNTHROTTLED,
        "--use-service-account-credentials",
        f"--service-account-private-key-file={key('service-account')}",
        f"--root-ca-file={certificate('authority')}",
        f"--cluster-signing-cert-file={certificate('authority')}",
        f"--cluster-signing-key-file={key('authority')}",
    ]


def _scheduler(binaries: Path) -> list[str | Path]:
    return [
        binaries / "kube-scheduler",
        f"--kubeconfig={kubeconfig('scheduler')}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={STATE / 'scheduler'}",
        "--leader-elect=false",
        *UNTHROTTLED,
    ]
