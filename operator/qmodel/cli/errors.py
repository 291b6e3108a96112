"""What goes wrong between a person and a cluster, in words that say what to do."""

import json
from typing import Any

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

NOT_FOUND = 404
_GONE = 410
"""The API server no longer knows the version that a watch would go on from."""
_SERVER_ERROR = 500
_NO_SUCH_KIND = ", and the cluster knows nothing of its kind: is the operator installed?"


class AccessError(Exception):
    """Something a person has to know; the message says what to do."""


class AccessInterruptedError(AccessError):
    """The cluster stopped answering; it may answer again."""


def told(error: ApiException | HTTPError, what: str) -> AccessError:
    """Return the error as a person reads it."""
    if isinstance(error, HTTPError):
        why = getattr(error, "reason", None) or error  # without the request that was tried
        return AccessInterruptedError(f"{what}: the cluster does not answer ({why})")
    if error.status == NOT_FOUND:
        unknown = "" if _is_status(error.body) else _NO_SUCH_KIND
        return AccessError(f"{what}: not found{unknown}")
    try:
        reason = json.loads(error.body or "{}").get("message", error.reason)
    except ValueError:
        reason = error.body or error.reason
    passing = error.status == _GONE or (error.status or 0) >= _SERVER_ERROR
    return (AccessInterruptedError if passing else AccessError)(f"{what}: {reason}")


def _is_status(body: Any) -> bool:
    """Whether the API server speaks of an object; of a path that it does not have it says less."""
    try:
        return isinstance(json.loads(body or "{}"), dict)
    except ValueError:
        return False
