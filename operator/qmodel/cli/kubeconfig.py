"""Which cluster and which namespace a command is about, by kubectl's rules.

A file or a context that was named is taken or refused. Where neither was, a program in a pod that
has no kubeconfig talks to the cluster that it runs in.
"""

import os
from dataclasses import dataclass
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from qmodel.cli.errors import AccessError

DEFAULT_FILE = "~/.kube/config"
DEFAULT_NAMESPACE = "default"

_UNUSABLE = (config.ConfigException, yaml.YAMLError, OSError, TypeError, ValueError)
"""What the client raises for a kubeconfig that is missing, no YAML, or YAML of something else."""


@dataclass(frozen=True, slots=True)
class Target:
    """What was asked for; what was not is taken from the environment."""

    kubeconfig: str | None = None
    """Absent: the files that KUBECONFIG names, or else the one in the home directory."""
    context: str | None = None
    """Absent: the current one."""
    namespace: str | None = None
    """Absent: that of the context."""

    @property
    def files(self) -> str:
        """The kubeconfig, or several as KUBECONFIG names them."""
        return self.kubeconfig or os.environ.get("KUBECONFIG") or DEFAULT_FILE

    @property
    def is_named(self) -> bool:
        """Whether a cluster was asked for by name."""
        return self.kubeconfig is not None or self.context is not None


def resolve(target: Target) -> tuple[client.Configuration, str]:
    """Return how the cluster is reached, and the namespace.

    Raises
    ------
    AccessError
        There is no such cluster.
    """
    try:
        return _from_files(target)
    except _UNUSABLE as error:
        found = None if target.is_named else _from_pod()
        if found is None:
            message = f"no cluster: {_why(error, target)}"
            raise AccessError(message) from error
        return found, target.namespace or DEFAULT_NAMESPACE


def _from_files(target: Target) -> tuple[client.Configuration, str]:
    """Read the files once, so that a pipe can be one."""
    merged = KubeConfigMerger(target.files)
    if merged.config is None:
        message = (
            f"there is no kubeconfig {target.files}. Name the file that kubectl uses by "
            "--kubeconfig or KUBECONFIG"
        )
        raise config.ConfigException(message)
    loader = KubeConfigLoader(
        config_dict=merged.config,
        active_context=_context(merged.config, target),
        config_base_path=None,
        config_persister=merged.save_changes,
    )
    configuration = client.Configuration()
    loader.load_and_set(configuration)
    of_context = loader.current_context["context"].get("namespace")
    return configuration, target.namespace or of_context or DEFAULT_NAMESPACE


def _context(merged: Any, target: Target) -> str:
    """Return the name of a context that there is."""
    names = [str(each["name"]) for each in merged.value["contexts"]]
    chosen = target.context or merged.safe_get("current-context")
    if chosen in names:
        return str(chosen)
    there_are = f"there are: {', '.join(names)}" if names else "there is none"
    if chosen:
        message = f"no context {chosen} in {target.files}; {there_are}"
    else:
        message = f"no current context in {target.files}, and no --context; {there_are}"
    raise config.ConfigException(message)


def _from_pod() -> client.Configuration | None:
    """Return how a pod reaches its own cluster; None outside of one."""
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        return None
    return configuration


def _why(error: Exception, target: Target) -> str:
    """Return in one line what is wrong with the files."""
    words = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, config.ConfigException):
        return words
    return f"the kubeconfig {target.files} cannot be read ({words})"
