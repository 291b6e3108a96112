"""What goes wrong between the operator and the API server; the type says whether to retry.

    ApiError
     ├─ Refused            the API server will not do it: a person or another writer must act
     │   ├─ NotFound
     │   ├─ AlreadyExists
     │   ├─ NameTaken       an object of our name belongs to another
     │   ├─ BeingDeleted    the object waits for its finalizers; it comes anew when it is gone
     │   ├─ Conflict        the object is not the one that was observed, or no longer is
     │   ├─ Forbidden
     │   ├─ Terminating     the whole namespace is being deleted, and its models with it
     │   └─ Gone            a watch starts from a version that the API server has forgotten
     └─ Unavailable        the same request may succeed later

A response body is never kept: it can quote the object that was sent, and with it a Secret. Only
the message of the API server's own Status object is, cut to a length that a condition can hold.
"""

# ruff: noqa: N818  the names are what the API server answers

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import aiohttp

MAX_MESSAGE_CHARACTERS = 1024
"""Longest message that is kept of an API error."""

DEFAULT_RETRY_SECONDS = 1.0


class ApiError(Exception):
    """A request to the API server did not succeed."""

    retry: ClassVar[bool] = False

    def __init__(self, request: str, status: int, reason: str, message: str) -> None:
        super().__init__(f"{request}: {status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Refused(ApiError):
    """The API server will not do it, however often it is asked."""


class NotFound(Refused):
    """There is no such object or kind."""


class AlreadyExists(Refused):
    """An object of that name exists."""


class NameTaken(Refused):
    """An object of that name belongs to another; the message says to whom."""


class BeingDeleted(Refused):
    """The object waits for its finalizers: nothing can be made of it any more."""


class Conflict(Refused):
    """The object is not the one that was observed."""


class Forbidden(Refused):
    """RBAC, admission or a quota forbids it."""


class Terminating(Refused):
    """The whole namespace is being deleted."""


class Gone(Refused):
    """The version to watch from is too old: list again."""


class Unavailable(ApiError):
    """Network or API server fail, or ask for patience."""

    retry = True

    def __init__(
        self,
        request: str,
        status: int,
        reason: str,
        message: str,
        *,
        retry_after_seconds: float = DEFAULT_RETRY_SECONDS,
    ) -> None:
        super().__init__(request, status, reason, message)
        self.retry_after_seconds = retry_after_seconds


_BY_STATUS: dict[int, type[Refused]] = {
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
}
_SUCCESS = range(200, 300)
_RETRIED = (408, 425, 429)
_UNAUTHORIZED = 401
_SERVER_ERROR = 500


def is_success(status: int) -> bool:
    """Whether a response with this status is no error."""
    return status in _SUCCESS


def from_status(
    request: str, status: int, body: bytes, retry_after_seconds: float = DEFAULT_RETRY_SECONDS
) -> ApiError:
    """Return the error that a response with this status and body stands for.

    Parameters
    ----------
    request
        Verb and path, for the log.
    body
        The response; only `reason` and `message` of a Status object are kept of it.
    retry_after_seconds
        What the Retry-After header asked for.
    """
    reason, message, causes = _status_object(body)
    if status in _RETRIED or status == _UNAUTHORIZED or status >= _SERVER_ERROR:
        return Unavailable(
            request, status, reason, message, retry_after_seconds=retry_after_seconds
        )
    kind = _BY_STATUS.get(status, Refused)
    if reason == "AlreadyExists":
        kind = AlreadyExists
    elif any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        kind = Terminating
    elif any(cause.get("field") == "metadata.uid" for cause in causes):
        kind = Conflict  # so the API server answers an apply to an object that was made anew
    return kind(request, status, reason, message)


def _status_object(body: bytes) -> tuple[str, str, list[dict[str, str]]]:
    """Return reason, message and causes of a Status object; of anything else, nothing."""
    try:
        status = json.loads(body)
    except ValueError:
        return "Unknown", "the answer is not JSON", []
    if not isinstance(status, dict) or status.get("kind") != "Status":
        return "Unknown", "the answer is not a Status", []
    message = str(status.get("message", ""))
    details = status.get("details") or {}
    causes = details.get("causes") or []
    return str(status.get("reason", "Unknown")), message[:MAX_MESSAGE_CHARACTERS], causes


@asynccontextmanager
async def translated(request: str) -> AsyncIterator[None]:
    """Turn what aiohttp raises into `Unavailable`, chained to the original."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        message = str(error)[:MAX_MESSAGE_CHARACTERS] or type(error).__name__
        raise Unavailable(request, 0, "NoConnection", message) from error
