"""What a demo installed: its definition is renewed, and its operator rests while we measure."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster import target
from qmodel.api.crd import NAME, custom_resource_definition, to_yaml

SELECTOR = "app.kubernetes.io/component=operator"

_HELM = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {
        "helm.sh/resource-policy": "keep",
        "meta.helm.sh/release-name": "quantized-model-operator",
        "meta.helm.sh/release-namespace": "qmodel-system",
    },
}
"""So that a later `helm install` takes over what the tests brought."""


def define() -> None:
    """Have the cluster serve the CustomResourceDefinition of this work tree."""
    document = custom_resource_definition()
    document["metadata"] |= _metadata()
    target.kubectl(
        ["apply", "--server-side", "--field-manager=helm", "--force-conflicts", "-f", "-"],
        stdin=to_yaml(document),
    )
    target.kubectl(["wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=30s"])


@contextmanager
def paused() -> Iterator[None]:
    """Scale every installed operator to nothing, and back afterwards."""
    words = ["get", "deployments", "--all-namespaces", f"--selector={SELECTOR}", "-o", "json"]
    found = json.loads(target.kubectl(words))["items"]
    for deployment in found:
        _scale(deployment, 0)
        _wait_until_gone(deployment)
    try:
        yield
    finally:
        for deployment in found:
            _scale(deployment, deployment["spec"]["replicas"])


def _scale(deployment: dict[str, Any], replicas: int) -> None:
    meta = deployment["metadata"]
    words = ["scale", f"--namespace={meta['namespace']}", f"deployment/{meta['name']}"]
    target.kubectl([*words, f"--replicas={replicas}"])


def _wait_until_gone(deployment: dict[str, Any]) -> None:
    words = ["wait", "pods", f"--namespace={deployment['metadata']['namespace']}"]
    target.kubectl([*words, f"--selector={SELECTOR}", "--for=delete", "--timeout=60s"], timeout=70)


def _metadata() -> dict[str, Any]:
    """Return the labels and annotations of the definition that is there, else those of helm."""
    told = target.kubectl(["get", "crd", NAME, "--ignore-not-found", "-o", "json"])
    if not told:
        return _HELM
    metadata = json.loads(told)["metadata"]
    return {key: metadata[key] for key in ("labels", "annotations") if key in metadata}
