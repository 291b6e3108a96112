"""The operator that a demo installed: it must not do half of what is tested or measured."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster import target

SELECTOR = "app.kubernetes.io/component=operator"


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
