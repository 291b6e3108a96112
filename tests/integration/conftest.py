"""The cluster's CustomResourceDefinition is the one of this work tree; no operator interferes."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from bench import installed
from cluster import target
from qmodel.api.crd import NAME, custom_resource_definition, to_yaml

_HELM = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {
        "helm.sh/resource-policy": "keep",
        "meta.helm.sh/release-name": "quantized-model-operator",
        "meta.helm.sh/release-namespace": "qmodel-system",
    },
}
"""So that a later `helm install` takes over what the tests brought."""


@pytest.fixture(scope="session", autouse=True)
def _definition() -> None:
    document = custom_resource_definition()
    document["metadata"] |= _metadata()
    target.kubectl(
        ["apply", "--server-side", "--field-manager=helm", "--force-conflicts", "-f", "-"],
        stdin=to_yaml(document),
    )
    target.kubectl(["wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=30s"])


@pytest.fixture(scope="module", autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let an installed operator rest: it would write to the objects of the tests."""
    path = tmp_path_factory.mktemp("cluster") / "kubeconfig"
    path.write_text(target.kubeconfig())
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(path)
    with installed.paused():
        yield
    os.environ.pop("KUBECONFIG")
    if before is not None:
        os.environ["KUBECONFIG"] = before


def _metadata() -> dict[str, Any]:
    """Return the labels and annotations of the definition that is there, else those of helm."""
    told = target.kubectl(["get", "crd", NAME, "--ignore-not-found", "-o", "json"])
    if not told:
        return _HELM
    metadata = json.loads(told)["metadata"]
    return {key: metadata[key] for key in ("labels", "annotations") if key in metadata}
