"""Short texts of a user, where how well a model does is not what a test is about."""

import json

from e2e.kube import Object
from e2e.models import CORE, Models
from e2e.passages import PASSAGES

NAME = "texts"
_JUDGED, _CHATS, _PROSE = "evaluation.txt", "chats.jsonl", "calibration.txt"
_SAMPLES = 20


def _ref(key: str) -> Object:
    return {"configMapRef": {"name": NAME, "key": key}}


GATE: Object = {"onFailure": "Warn", "text": _ref(_JUDGED)}
"""Judges on it and lets everything pass."""
IMPOSSIBLE_GATE: Object = GATE | {"onFailure": "Block", "maxPerplexityRatio": "0.5"}
"""Judges on it and lets nothing pass."""
CHATS, PROSE = _ref(_CHATS), _ref(_PROSE)
"""To calibrate on: JSON lines of messages and of texts, and plain text."""


def bring(models: Models) -> None:
    """Make the ConfigMap that all of these name."""
    data = {_JUDGED: "\n\n".join(PASSAGES), _CHATS: _chats(), _PROSE: _prose()}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": data}
    models.kube.apply(models.path(CORE, "configmaps", NAME), body)


def _chats() -> str:
    """Return one sample a line, which the model's chat template makes long."""
    lines: list[Object] = [{"text": f"{PASSAGES[0]} {number}"} for number in range(_SAMPLES // 2)]
    for number in range(_SAMPLES // 2):
        asked = {"role": "user", "content": f"What is {number} and {number}?"}
        answered = {"role": "assistant", "content": f"It is {2 * number}. {PASSAGES[number]}"}
        lines.append({"messages": [asked, answered]})
    return "\n".join(map(json.dumps, lines))


def _prose() -> str:
    """Return more than sixteen samples of 128 tokens."""
    return "\n\n".join(" ".join(PASSAGES[:4]) + f" So it was {n} times." for n in range(_SAMPLES))
