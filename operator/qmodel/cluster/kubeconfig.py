"""The current context of a kubeconfig, read by the official client's loader.

It knows exec plugins, inline certificates and expiring tokens; the rest of that client is not used,
see `qmodel.cluster.client`. The operator's image does not have it.
"""

import os
import ssl
from dataclasses import dataclass

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config

from qmodel.cluster.credentials import CredentialsError


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """Credentials of a context."""

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
        """Return the headers that authenticate a request; a plugin's token is renewed."""
        token = await self.configuration.get_api_key_with_prefix("BearerToken")
        return {"Authorization": token} if token else {}


async def load() -> Kubeconfig:
    """Return the credentials of the current context.

    Raises
    ------
    CredentialsError
        If there is no kubeconfig, or it cannot be used.
    """
    configuration = Configuration()
    # Given by name: the library reads the variable only once, when it is imported.
    path = os.environ.get("KUBECONFIG")
    try:
        await load_kube_config(path, client_configuration=configuration)
    except ConfigException as error:
        raise CredentialsError(str(error)) from error
    return Kubeconfig(configuration)
