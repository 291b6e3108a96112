"""A short text to judge on, where how well a model does is not what a test is about."""

from e2e.kube import Object
from e2e.models import CORE, Models

NAME, KEY = "texts", "evaluation.txt"
PASSAGES = [
    f"Passage {number}. The river that runs through the valley rises in the hills to the north, "
    "and the people who live beside it have built their houses well above the water."
    for number in range(12)
]
"""434 tokens: few, because many models are judged on two cores. Each is as long as the judge leaves
a passage alone, so that a server can be asked for the same tokens after the same tokens."""
GATE: Object = {
    "onFailure": "Warn",
    "text": {"configMapRef": {"name": NAME, "key": KEY}},
}
"""Judges on it and lets everything pass."""


def bring(models: Models) -> None:
    """Make the ConfigMap that GATE names."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {KEY: "\n\n".join(PASSAGES)}}
    models.kube.apply(models.path(CORE, "configmaps", NAME), body)
