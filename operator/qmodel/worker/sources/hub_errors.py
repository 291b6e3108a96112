"""What the hub's client raises, translated by one table into errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from httpx2 import HTTPError, InvalidURL, Response
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # re-exported lazily
    parse_ratelimit_headers,
)

from qmodel.worker.errors import (
    AccessDenied,
    HubUnavailable,
    RepositoryNotFound,
    RevisionNotFound,
    SourceChanged,
    StepError,
)
from qmodel.worker.task import HubSource

_LONGEST_WAIT_SECONDS = 3600
_TOKEN_FIELD = "spec.source.huggingFace.tokenSecretRef"  # noqa: S105  a field, not a secret
_GATED = "{repository} is gated or private: {token_advice}"
_REFUSED = "{endpoint} refuses access to {repository} ({problem}): {token_advice}"
_NOT_FOUND = (
    "{endpoint} has no repository {repository}, or hides it: correct"
    " spec.source.huggingFace.repository; if it is private, {token_advice}"
)
_UNAVAILABLE = "{endpoint} does not answer for {repository}: {problem}"
_NO_TOKEN = f"set {_TOKEN_FIELD} to a Secret that holds an access token which may read it"
_WRONG_TOKEN = (
    f"the token of {_TOKEN_FIELD} does not open it: ask for access on its page, or use another"
)


@dataclass(frozen=True)
class _Row:
    """One kind of answer, what it means, and what to say."""

    raised: type[BaseException]
    statuses: frozenset[int]
    """Any, when empty."""
    means: type[StepError]
    message: str


_TABLE = (
    _Row(GatedRepoError, frozenset(), AccessDenied, _GATED),
    _Row(DisabledRepoError, frozenset(), AccessDenied, "{repository} was disabled by the hub"),
    _Row(RepositoryNotFoundError, frozenset(), RepositoryNotFound, _NOT_FOUND),
    _Row(HFValidationError, frozenset(), RepositoryNotFound, _NOT_FOUND),
    _Row(
        RevisionNotFoundError,
        frozenset(),
        RevisionNotFound,
        "{repository} has no revision {revision}: correct spec.source.huggingFace.revision",
    ),
    _Row(
        EntryNotFoundError,
        frozenset(),
        SourceChanged,
        "a listed file of {repository} at {revision} is gone: {problem}",
    ),
    _Row(HfHubHTTPError, frozenset({401, 403}), AccessDenied, _REFUSED),
    _Row(HfHubHTTPError, frozenset({404}), RepositoryNotFound, _NOT_FOUND),
    _Row(HTTPError, frozenset(), HubUnavailable, _UNAVAILABLE),
    _Row(InvalidURL, frozenset(), HubUnavailable, _UNAVAILABLE),
    _Row(OSError, frozenset(), HubUnavailable, _UNAVAILABLE),
    _Row(ValueError, frozenset(), HubUnavailable, _UNAVAILABLE),
    _Row(KeyError, frozenset(), HubUnavailable, _UNAVAILABLE),
    _Row(TypeError, frozenset(), HubUnavailable, _UNAVAILABLE),
)
"""First match wins. The last rows: the client could not make sense of an answer."""


@contextmanager
def hub_errors(source: HubSource) -> Iterator[None]:
    """Turn everything that the hub's client raises in the block into a StepError."""
    try:
        yield
    except StepError:
        raise
    except (HTTPError, InvalidURL, OSError, ValueError, KeyError, TypeError) as error:
        raise _translated(error, source) from error


def _translated(error: Exception, source: HubSource) -> StepError:
    """Return the error that the table gives."""
    response = error.response if isinstance(error, HfHubHTTPError) else None
    row = next(
        row
        for row in _TABLE
        if isinstance(error, row.raised)
        and (not row.statuses or (response is not None and response.status_code in row.statuses))
    )
    translated = row.means(
        row.message.format(
            endpoint=source.endpoint,
            repository=source.repository,
            revision=source.revision,
            problem=_problem(error),
            token_advice=_WRONG_TOKEN if source.token_file else _NO_TOKEN,
        )
    )
    wait = _asked_wait(response)
    if wait and isinstance(translated, HubUnavailable):
        translated.retry_after = wait
    return translated


def _problem(error: Exception) -> str:
    """Return the line of the client's message that tells most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def _asked_wait(response: Response | None) -> timedelta | None:
    """Return how long the server asks to wait, within reason."""
    if response is None:
        return None
    limit = parse_ratelimit_headers(response.headers)
    asked = response.headers.get("Retry-After", "")
    seconds = int(asked) if asked.isdecimal() else limit.reset_in_seconds if limit else 0
    return timedelta(seconds=min(seconds, _LONGEST_WAIT_SECONDS)) if seconds > 0 else None
