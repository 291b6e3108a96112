"""Names and labels of children: legal and unique for every legal name of a model."""

import hashlib
import re
from functools import lru_cache

MODEL_UID_LABEL = "qmodel.dev/model-uid"
STEP_LABEL = "qmodel.dev/step"
KEY_LABEL = "qmodel.dev/key"
ATTEMPT_LABEL = "qmodel.dev/attempt"
REVISION_LABEL = "qmodel.dev/revision"
MODEL_LABEL = "qmodel.dev/model"
"""The model's name as a label can hold it, which is its Service's too. The usual label of an
instance is by what Argo CD may take a kept volume for its own, and prune it."""
MODEL_ANNOTATION = "qmodel.dev/model"
RESULT_ANNOTATION = "qmodel.dev/result-key"
EVALUATION_ANNOTATION = "qmodel.dev/evaluation-key"
POD_ANNOTATION = "qmodel.dev/pod-key"
DESIRED_ANNOTATION = "qmodel.dev/desired-hash"
VERSION_ANNOTATION = "qmodel.dev/operator-version"
MANAGER = "qmodel-operator"

COMPONENT_LABEL = "app.kubernetes.io/component"
SERVER_LABELS = {COMPONENT_LABEL: "server"}
"""What the servers' pods carry besides the model's uid."""
HTTP_PORT_NAME = "http"
"""Of the servers' port, and of the Service's."""

MAX_NAME_LENGTH = 63
"""Longest DNS label: Services, and Jobs whose name becomes a pod's label."""
_HASH_LENGTH = 8


def short_hash(text: str, length: int = _HASH_LENGTH) -> str:
    """Return the first hexadecimal digits of a sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


@lru_cache(maxsize=4096)  # asked for in every pass
def child_name(model: str, *suffixes: str) -> str:
    """Return a DNS label (RFC 1035) for a child of `model`.

    A model's name may have 253 characters, dots and a digit first; a Service's may not. A name
    that has to be changed carries a hash of the original, so that no two models share a child.

    Parameters
    ----------
    model
        Name of the QuantizedModel.
    suffixes
        What the child is, such as a step and its attempt.
    """
    suffix = "".join(f"-{part}" for part in suffixes)
    room = MAX_NAME_LENGTH - len(suffix)
    base = re.sub(r"[^a-z0-9-]", "-", model)
    base = base if base[0].isalpha() else f"m-{base}"
    if base != model or len(base) > room:
        kept = base[: room - _HASH_LENGTH - 1].rstrip("-")
        base = f"{kept}-{short_hash(model)}"
    return base + suffix


def labels_of_all(model: str, uid: str) -> dict[str, str]:
    """Return the labels that every child and every pod of `model` carries.

    People select by the name, which can be written down before the model exists; we by the uid.
    """
    return {
        "app.kubernetes.io/name": "qmodel",
        MODEL_LABEL: child_name(model),
        "app.kubernetes.io/managed-by": MANAGER,
        MODEL_UID_LABEL: uid,
    }


def volume_name(model: str) -> str:
    """Return the name of the claim that is made for `model`."""
    return child_name(model, "volume")
