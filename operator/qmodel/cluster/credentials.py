"""Where the API server is and how to speak to it: a service account, or a kubeconfig.

What a pod is given are two files and two variables, read here: the official client, which would
read them too, is a quarter of what the operator imports. It reads kubeconfigs, outside of
pods.
"""

import os
import ssl
import time
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_SECONDS = 60.0
"""A service account's token is read again after this time: the kubelet rotates it well before it
expires."""


class CredentialsError(Exception):
    """There is nothing to speak to a cluster with."""


class Credentials(Protocol):
    """Address of the API server and a way to prove who asks."""

    @property
    def server(self) -> str:
        """Base URL of the API server."""

    def tls(self) -> ssl.SSLContext:
        """Return the TLS settings: who is trusted, and the client certificate if there is one."""

    async def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a request."""


class ServiceAccount:
    """What the kubelet mounts into a pod.

    Parameters
    ----------
    directory
        Folder with `token` and `ca.crt`.
    """

    def __init__(self, directory: Path = SERVICE_ACCOUNT) -> None:
        self._directory = directory
        self._token = ""
        self._read_at = -TOKEN_SECONDS

    @property
    def server(self) -> str:
        """Base URL of the API server, by the address that every pod is told.

        Raises
        ------
        CredentialsError
            If the pod was told none.
        """
        try:
            host, port = (os.environ[f"KUBERNETES_SERVICE_{part}"] for part in ("HOST", "PORT"))
        except KeyError as error:
            message = f"the variable {error.args[0]} is not set, though there is a service account"
            raise CredentialsError(message) from error
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    def tls(self) -> ssl.SSLContext:
        """Trust the cluster's own authority."""
        return ssl.create_default_context(cafile=str(self._directory / "ca.crt"))

    async def headers(self) -> dict[str, str]:
        """Return the token of now; it rotates."""
        if time.monotonic() - self._read_at >= TOKEN_SECONDS:
            self._token = (self._directory / "token").read_text().strip()
            self._read_at = time.monotonic()
        return {"Authorization": f"Bearer {self._token}"}


async def load() -> Credentials:
    """Return the pod's service account where there is one, else the current kubeconfig context.

    Raises
    ------
    CredentialsError
        If neither is there.
    """
    if (SERVICE_ACCOUNT / "token").exists():
        return ServiceAccount()
    try:
        kubeconfig = import_module("qmodel.cluster.kubeconfig")
    except ImportError as error:
        message = f"no service account is mounted, and kubeconfigs need a package: {error}"
        raise CredentialsError(message) from error
    return cast("Credentials", await kubeconfig.load())
