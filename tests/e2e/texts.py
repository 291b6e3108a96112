"""A short text to judge on, where how well a model does is not what a test is about."""

from e2e.kube import Object
from e2e.models import CORE, Models
from e2e.passages import PASSAGES

NAME, KEY = "texts", "evaluation.txt"
GATE: Object = {
    "onFailure": "Warn",
    "text": {"configMapRef": {"name": NAME, "key": KEY}},
}
"""Judges on it and lets everything pass."""


def bring(models: Models) -> None:
    """Make the ConfigMap that GATE names."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {KEY: "\n\n".join(PASSAGES)}}
    models.kube.apply(models.path(CORE, "configmaps", NAME), body)
