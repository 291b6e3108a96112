"""What goes wrong between a person and a cluster, in words that say what to do."""

import json

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

NOT_FOUND = 404
_GONE = 410
"""The API server no longer knows the version that a watch would go on from."""
_SERVER_ERROR = 500


class AccessError(Exception):
    """Something a person has to know; the message says what to do."""


class AccessInterruptedError(AccessError):
    """The cluster stopped answering; it may answer again."""


def told(error: ApiException | HTTPError, what: str) -> AccessError:
    """Return the error as a person reads it."""
    if isinstance(error, HTTPError):
        return AccessInterruptedError(f"{what}: the cluster does not answer ({error})")
    if error.status == NOT_FOUND:
        return AccessError(f"{what}: not found")
    try:
        reason = json.loads(error.body or "{}").get("message", error.reason)
    except ValueError:
        reason = error.body or error.reason
    passing = error.status == _GONE or (error.status or 0) >= _SERVER_ERROR
    return (AccessInterruptedError if passing else AccessError)(f"{what}: {reason}")
