"""What an installation decides: command line first, then environment, then defaults."""

import argparse
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from qmodel.planner.installation import ConfigMapFile, Images, Installation

OPERATOR_VERSION = "0.1.0"
"""Noted on what this operator writes; that of the package."""

HUB_ENDPOINT = "https://huggingface.co"
HEALTH_PORT = 8080

IMAGE_VARIABLES = {field.name: f"QMODEL_IMAGE_{field.name.upper()}" for field in fields(Images)}
"""Environment variable that names each image."""

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class SettingsError(Exception):
    """A setting is missing or contradicts another; the message says which."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How this operator runs."""

    installation: Installation
    namespaces: tuple[str, ...]
    """Empty: all."""
    leader_elect: bool
    identity: str
    """Name of this process among the candidates for leadership."""
    own_namespace: str
    """Where the Lease lies."""
    health_host: str
    health_port: int
    verbose: bool
    developing: bool
    """Logs for people instead of JSON."""


def parse(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings.

    Raises
    ------
    SettingsError
        If the operator's own image is not set, or the hub endpoint would carry tokens in the clear.
    """
    given = _parser().parse_args(argv)
    namespaces = given.namespace or _words(environ.get("QMODEL_NAMESPACES", ""))
    return Settings(
        installation=_installation(environ, developing=given.dev),
        namespaces=tuple(sorted(set(namespaces))),
        leader_elect=given.leader_elect,
        identity=environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
        own_namespace=environ.get("POD_NAMESPACE") or _namespace_of_pod(),
        health_host="127.0.0.1" if given.dev else "0.0.0.0",  # noqa: S104  the kubelet's probe
        health_port=given.health_port,
        verbose=given.verbose,
        developing=given.dev,
    )


def _parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m qmodel",
        description="The QuantizedModel operator.",
        epilog=f"Environment: {', '.join(IMAGE_VARIABLES.values())} name the images of the Jobs "
        "and servers; HF_ENDPOINT is the "
        f"Hugging Face endpoint that all models come from (default {HUB_ENDPOINT}); "
        "QMODEL_HUB_ALLOW_INSECURE=true lets it be http, QMODEL_SOURCES_ALLOW_INSECURE=true S3 "
        "endpoints and registries; QMODEL_HTTPS_PROXY, QMODEL_HTTP_PROXY, QMODEL_NO_PROXY and "
        "QMODEL_CA_BUNDLE (ConfigMap/key) are for the Jobs that inspect and fetch.",
    )
    parser.add_argument(
        "--namespace",
        action="append",
        help="namespace to serve; may be repeated (default: all; QMODEL_NAMESPACES, by commas)",
    )
    parser.add_argument(
        "--leader-elect", action="store_true", help="wait for a Lease; for several replicas"
    )
    parser.add_argument(
        "--health-port",
        type=int,
        default=HEALTH_PORT,
        help="port of /healthz and /metrics (default: %(default)s)",
    )
    parser.add_argument("--verbose", action="store_true", help="log debugging messages too")
    parser.add_argument(
        "--dev", action="store_true", help="run from a shell: plain logs, health on localhost only"
    )
    return parser


def _installation(environ: Mapping[str, str], *, developing: bool) -> Installation:
    """Return what is passed on to the planner."""
    endpoint = environ.get("HF_ENDPOINT") or HUB_ENDPOINT
    insecure = developing or environ.get("QMODEL_HUB_ALLOW_INSECURE") == "true"
    if not endpoint.startswith("https://") and not insecure:
        message = (
            f"HF_ENDPOINT is {endpoint}: tokens would be sent in the clear; use https, or set "
            "QMODEL_HUB_ALLOW_INSECURE=true"
        )
        raise SettingsError(message)
    return Installation(
        images=_images(environ),
        hub_endpoint=endpoint.rstrip("/"),
        hub_allow_insecure=insecure,
        sources_allow_insecure=developing or environ.get("QMODEL_SOURCES_ALLOW_INSECURE") == "true",
        source_env=_source_env(environ),
        ca_bundle=_ca_bundle(environ.get("QMODEL_CA_BUNDLE", "")),
    )


def _source_env(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy that Jobs use; not the operator's own, which speaks to the API server."""
    names = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
    return {name: value for name in names if (value := environ.get(f"QMODEL_{name}"))}


def _ca_bundle(text: str) -> ConfigMapFile | None:
    """Return the ConfigMap and key that a setting names, as `name/key`."""
    if not text:
        return None
    name, _, key = text.partition("/")
    if not name or not key:
        message = f"QMODEL_CA_BUNDLE is {text}: a ConfigMap and its key are expected, as name/key"
        raise SettingsError(message)
    return ConfigMapFile(name, key)


def _images(environ: Mapping[str, str]) -> Images:
    """Return the images; who needs one that is not set is told so."""
    own = IMAGE_VARIABLES["operator"]
    if not environ.get(own):
        message = f"{own} is not set: it names the image of the Jobs that inspect and fetch"
        raise SettingsError(message)
    return Images(**{name: environ.get(each, "") for name, each in IMAGE_VARIABLES.items()})


def _words(text: str) -> list[str]:
    """Return the words between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _namespace_of_pod() -> str:
    """Return the namespace of the pod that this runs in; outside of one, `default`."""
    return _NAMESPACE_FILE.read_text().strip() if _NAMESPACE_FILE.exists() else "default"
