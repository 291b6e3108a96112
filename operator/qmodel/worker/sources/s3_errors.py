"""What the S3 client raises, translated by one table into errors of ours."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from http import HTTPStatus

from obstore.exceptions import BaseError

from qmodel.worker.errors import (
    AccessDenied,
    SourceChanged,
    SourceInvalid,
    SourceNotFound,
    SourceUnavailable,
    StepError,
    WrongRegion,
)
from qmodel.worker.task import S3Source

FIELD = "spec.source.s3"
_SECRET = f"{FIELD}.credentialsSecretRef"
_NOT_FOUND = f"{{uri}} does not exist at {{endpoint}} ({{problem}}): correct {FIELD}.uri"
_DENIED = "{endpoint} refuses access to {uri} ({problem}): {advice}"
_REGION = f"{{uri}} is not in region {{region}} ({{problem}}): correct {FIELD}.region"
_CHANGED = "an object of {uri} changed since it was listed ({problem})"
_ARCHIVED = "an object of {uri} is archived ({problem}): restore it first"
_UNAVAILABLE = "{endpoint} does not answer for {uri}: {problem}"
_STRANGE = "{endpoint} cannot serve {uri}: {problem}"

_Means = tuple[type[StepError], str]
_CODES: dict[str, _Means] = {
    "AuthorizationHeaderMalformed": (WrongRegion, _REGION),
    "PermanentRedirect": (WrongRegion, _REGION),
    "TemporaryRedirect": (WrongRegion, _REGION),
    "IllegalLocationConstraintException": (WrongRegion, _REGION),
    "InvalidObjectState": (SourceInvalid, _ARCHIVED),
    "ExpiredToken": (AccessDenied, _DENIED),
    "InvalidToken": (AccessDenied, _DENIED),
    "XAdminUserNotFound": (AccessDenied, _DENIED),
    "RequestTimeout": (SourceUnavailable, _UNAVAILABLE),
}
"""Codes that say more than their HTTP status."""
_STATUSES: dict[int, _Means] = {
    HTTPStatus.MOVED_PERMANENTLY: (WrongRegion, _REGION),
    HTTPStatus.TEMPORARY_REDIRECT: (WrongRegion, _REGION),
    HTTPStatus.UNAUTHORIZED: (AccessDenied, _DENIED),
    HTTPStatus.FORBIDDEN: (AccessDenied, _DENIED),
    HTTPStatus.NOT_FOUND: (SourceNotFound, _NOT_FOUND),
    HTTPStatus.REQUEST_TIMEOUT: (SourceUnavailable, _UNAVAILABLE),
    HTTPStatus.PRECONDITION_FAILED: (SourceChanged, _CHANGED),
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: (SourceChanged, _CHANGED),
    HTTPStatus.TOO_MANY_REQUESTS: (SourceUnavailable, _UNAVAILABLE),
}
_DETAILS = "\n\nDebug source"
"""What follows in the client's message is for its developers, but knows why nothing answers."""
_CAUSE = re.compile(r'(?:message|error): "([^"]+)"|InvalidCertificate\(\s*(\w+)')
_STATUS = re.compile(r"status code: (\d{3}) ")
_CODE = re.compile(r"<Code>([^<]*)</Code>")
_WORDS = re.compile(r"<Message>([^<]*)</Message>")


@contextmanager
def s3_errors(source: S3Source) -> Iterator[None]:
    """Turn what the client raises in the block into a StepError."""
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise _translated(str(error), source) from error


def _translated(text: str, source: S3Source) -> StepError:
    """Return what the client's message means: it quotes the server's answer."""
    told, _, details = text.partition(_DETAILS)
    status, code, words = (_found(pattern, told) for pattern in (_STATUS, _CODE, _WORDS))
    if not status:
        problem = f"{told} {_found(_CAUSE, details)}"
        return _error(SourceUnavailable, _UNAVAILABLE, problem, source)
    means, message = _CODES.get(code) or _STATUSES.get(int(status)) or _otherwise(int(status))
    problem = ": ".join(part for part in (code or status, unescape(words)) if part)
    return _error(means, message, problem, source)


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return next((group for group in match.groups() if group), "") if match else ""


def _otherwise(status: int) -> _Means:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SourceUnavailable, _UNAVAILABLE
    return SourceInvalid, _STRANGE


def _error(means: type[StepError], message: str, problem: str, source: S3Source) -> StepError:
    """Return the error with its message."""
    advice = (
        f"the keys of {_SECRET} do not open it"
        if source.credentials
        else f"set {_SECRET} to a Secret with keys that may read it"
    )
    return means(
        message.format(
            uri=source.uri,
            endpoint=source.endpoint or "AWS",
            region=source.region,
            problem=" ".join(problem.split())[:300],
            advice=advice,
        )
    )
