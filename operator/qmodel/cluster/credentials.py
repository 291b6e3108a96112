"""Where the API server is and how to speak to it: a service account or a kubeconfig.

The official client's loader does the reading (exec plugins, inline certificates, rotation of a
service account's token); the rest of that client is not used, see `qmodel.cluster.client`.
"""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config
from kubernetes.aio.config.incluster_config import SERVICE_TOKEN_FILENAME


@dataclass(frozen=True, slots=True)
class Credentials:
    """Address of the API server and a way to prove who asks."""

    configuration: Configuration

    @property
    def server(self) -> str:
        """Base URL of the API server."""
        return str(self.configuration.host).rstrip("/")

    def tls(self) -> ssl.SSLContext:
        """Return the TLS settings: who is trusted, and the client certificate if there is one."""
        given = self.configuration
        context = ssl.create_default_context(cafile=given.ssl_ca_cert, cadata=given.ca_cert_data)
        if not given.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if given.cert_file:
            context.load_cert_chain(given.cert_file, keyfile=given.key_file)
        return context

    async def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a request; a service account's token rotates."""
        token = await self.configuration.get_api_key_with_prefix("BearerToken")
        return {"Authorization": token} if token else {}


async def load() -> Credentials:
    """Return the pod's service account where there is one, else the current kubeconfig context.

    Raises
    ------
    kubernetes.aio.config.ConfigException
        If neither is there.
    """
    configuration = Configuration()
    if _is_in_pod():
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        # Given by name: the library reads the variable only once, when it is imported.
        path = os.environ.get("KUBECONFIG")
        await load_kube_config(path, client_configuration=configuration)  # type: ignore[no-untyped-call]
    return Credentials(configuration)


def _is_in_pod() -> bool:
    """Whether a service account's token is mounted."""
    return Path(SERVICE_TOKEN_FILENAME).exists()
