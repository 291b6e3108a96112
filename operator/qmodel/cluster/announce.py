"""Kubernetes Events: what `kubectl describe` shows of a model's transitions."""

import logging
from datetime import UTC, datetime

from qmodel.api.base import GROUP, KIND, VERSION
from qmodel.cluster.client import ApiClient
from qmodel.cluster.errors import ApiError
from qmodel.cluster.kinds import EVENT
from qmodel.cluster.parse import Object
from qmodel.cluster.store import Model
from qmodel.planner.wishes import Announcement

MAX_NOTE_BYTES = 1000
"""The API server refuses more than 1,024."""

MAX_REASON_CHARACTERS = 128
"""The API server refuses more; a condition's reason may have 256."""

MAX_INSTANCE_CHARACTERS = 128
"""The API server refuses more; a pod's name may have 253."""

_NOT_LAST = ".-"  # what a name may not end with
_CONTROLLER = f"{GROUP}/operator"

logger = logging.getLogger(__name__)


async def announce(
    client: ApiClient, identity: str, model: Model, announcement: Announcement
) -> None:
    """Post one Event; one that cannot be posted is not worth failing for.

    Parameters
    ----------
    identity
        Name of this process: who says so.
    """
    event = _event(identity, model, announcement, datetime.now(UTC))
    try:
        await client.create(EVENT, model.namespace, event)
    except ApiError as error:
        logger.warning("Event %s not posted: %s", announcement.reason, error)


def _event(identity: str, model: Model, announcement: Announcement, now: datetime) -> Object:
    """Return the Event object."""
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.name,
        "metadata": {
            "generateName": f"{model.name[:200].rstrip(_NOT_LAST)}-",
            "namespace": model.namespace,
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": _CONTROLLER,
        "reportingInstance": identity[:MAX_INSTANCE_CHARACTERS],
        "action": "Reconcile",
        "type": announcement.type,
        "reason": announcement.reason[:MAX_REASON_CHARACTERS],
        "note": announcement.message.encode()[:MAX_NOTE_BYTES].decode(errors="ignore"),
        "regarding": {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "name": model.name,
            "namespace": model.namespace,
            "uid": model.uid,
        },
    }
