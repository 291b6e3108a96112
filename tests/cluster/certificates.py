"""The certificates and kubeconfigs of a cluster, made anew for each one with openssl."""

from dataclasses import dataclass
from pathlib import Path

from cluster.commands import run
from cluster.settings import (
    API_SERVER,
    API_SERVICE_ADDRESS,
    CERTIFICATES,
    CLUSTER_DOMAIN,
    KUBECONFIG,
    NODE_ADDRESS,
    NODE_NAME,
)

DAYS = "365"
NAMES = (
    "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
    f"DNS:kubernetes.default.svc.{CLUSTER_DOMAIN},DNS:{NODE_NAME},"
    f"IP:127.0.0.1,IP:{API_SERVICE_ADDRESS},IP:{NODE_ADDRESS}"
)
"""What the API server, etcd and the kubelet are reached as."""


@dataclass(frozen=True)
class Identity:
    """Whom a certificate names: the user and, as Kubernetes reads it, the group."""

    file: str
    user: str
    group: str = ""

    @property
    def subject(self) -> str:
        """The distinguished name, as openssl takes it."""
        return (f"/O={self.group}" if self.group else "") + f"/CN={self.user}"


SERVER = Identity("apiserver", "kube-apiserver")
ETCD_CLIENT = Identity("etcd-client", "kube-apiserver")
KUBELET_CLIENT = Identity("kubelet-client", "kube-apiserver", "system:masters")
CLIENTS = (
    Identity("admin", "admin", "system:masters"),
    Identity("controller-manager", "system:kube-controller-manager"),
    Identity("scheduler", "system:kube-scheduler"),
    Identity("proxy", "system:kube-proxy"),
    Identity("kubelet", f"system:node:{NODE_NAME}", "system:nodes"),
)


def ensure() -> None:
    """Make the authority, the certificates it signs and the kubeconfigs, unless they exist."""
    if KUBECONFIG.exists():
        return
    CERTIFICATES.mkdir(parents=True, exist_ok=True, mode=0o700)
    _authority()
    for identity in (SERVER, ETCD_CLIENT, KUBELET_CLIENT, *CLIENTS):
        _sign(identity)
    _openssl("genrsa", "-out", key("service-account"), "2048")
    for identity in CLIENTS:
        _write_kubeconfig(identity, kubeconfig(identity.file))


def certificate(name: str) -> Path:
    """Path of a certificate."""
    return CERTIFICATES / f"{name}.crt"


def key(name: str) -> Path:
    """Path of a private key."""
    return CERTIFICATES / f"{name}.key"


def kubeconfig(name: str) -> Path:
    """Path of the kubeconfig of one of `CLIENTS`."""
    return KUBECONFIG if name == "admin" else CERTIFICATES / f"{name}.kubeconfig"


def _openssl(*words: str | Path) -> None:
    run(["openssl", *words])


def _new_key(name: str) -> None:
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key(name))


def _authority() -> None:
    _new_key("authority")
    asked = ("req", "-x509", "-new", "-key", str(key("authority")), "-subj", "/CN=qmodel")
    _openssl(*asked, "-days", DAYS, "-out", certificate("authority"))


def _sign(identity: Identity) -> None:
    _new_key(identity.file)
    request = str(CERTIFICATES / f"{identity.file}.csr")
    subject = ("-key", str(key(identity.file)), "-subj", identity.subject)
    _openssl("req", "-new", *subject, "-addext", f"subjectAltName={NAMES}", "-out", request)
    authority = ("-CA", str(certificate("authority")), "-CAkey", str(key("authority")))
    signing = ("-CAcreateserial", "-days", DAYS, "-copy_extensions", "copy")
    _openssl(
        "x509", "-req", "-in", request, *authority, *signing, "-out", certificate(identity.file)
    )


def _write_kubeconfig(identity: Identity, path: Path) -> None:
    text = f"""\
apiVersion: v1
kind: Config
clusters:
- name: qmodel
  cluster:
    server: {API_SERVER}
    certificate-authority-data: {_encoded(certificate("authority"))}
users:
- name: {identity.file}
  user:
    client-certificate-data: {_encoded(certificate(identity.file))}
    client-key-data: {_encoded(key(identity.file))}
contexts:
- name: qmodel
  context: {{cluster: qmodel, user: {identity.file}}}
current-context: qmodel
"""
    path.touch(mode=0o600)
    path.write_text(text)


def _encoded(path: Path) -> str:
    return run(["openssl", "base64", "-A", "-in", path])
