"""Manifests and blobs of a registry, by the OCI distribution API.

The Python client of ORAS reads no ranges, runs the credential helpers that a pull secret names,
and sends the secret to whatever host a registry asks it to; so this is the project's own.
"""

import hashlib
import json
import re
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

from httpx2 import Client, HTTPError, InvalidURL, Response

from qmodel.worker.errors import (
    AccessDenied,
    EndpointRefused,
    SourceInvalid,
    SourceNotFound,
    SourceUnavailable,
    StepError,
)
from qmodel.worker.sources.base import Chunks
from qmodel.worker.sources.registry_auth import RegistryAuth, login
from qmodel.worker.task import OCISource

FIELD = "spec.source.oci"
TIMEOUT_SECONDS = 30
"""Longest silence of the server."""
_CHUNK_BYTES = 1 << 20
_MAX_MANIFEST_BYTES = 4 << 20
"""The largest that the specification asks registries to take."""
_MAX_ERROR_BYTES = 64 << 10
_LONGEST_WAIT_SECONDS = 3600
_DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry-1.docker.io"
_REFERENCE = re.compile(
    r"(?P<registry>[^/]+)/(?P<repository>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_ACCEPTED = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json,"
    " application/vnd.docker.distribution.manifest.v2+json,"
    " application/vnd.docker.distribution.manifest.list.v2+json"
)


@dataclass(frozen=True)
class Reference:
    """A reference in its parts."""

    registry: str
    """Host, and port if there is one."""
    repository: str
    version: str
    """Digest, or tag."""

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Return a reference that the API took; a digest is stronger than a tag."""
        match = _REFERENCE.fullmatch(text)
        if match is None:
            message = f"{text[:200]!r} is not a reference: correct {FIELD}.reference"
            raise SourceNotFound(message)
        version = match["digest"] or match["tag"] or "latest"
        return cls(match["registry"], match["repository"], version)

    @property
    def api(self) -> str:
        """Host of the API."""
        return _DOCKER_HUB_API if self.registry == _DOCKER_HUB else self.registry


class Registry:
    """One repository of a registry.

    Parameters
    ----------
    task
        Reference, and where the pull secret is.
    """

    def __init__(self, task: OCISource) -> None:
        if task.insecure and not task.allow_insecure:
            message = (
                f"{FIELD}.insecure is not allowed by this installation: use https, or ask its"
                " administrator for sources.allowInsecure"
            )
            raise EndpointRefused(message)
        self._task = task
        self._reference = Reference.parse(task.reference)
        self.name = f"{self._reference.registry}/{self._reference.repository}"
        base = f"{'http' if task.insecure else 'https'}://{self._reference.api}"
        with self._errors():
            self._client = Client(
                base_url=f"{base}/v2/{self._reference.repository}/",
                auth=RegistryAuth(base, self._reference.repository, _login(task, self.name)),
                headers={"Accept-Encoding": "identity"},
                follow_redirects=True,
                timeout=TIMEOUT_SECONDS,
            )
        weakref.finalize(self, self._client.close)

    def manifest(self) -> tuple[str, bytes]:
        """Return the digest that the reference names, and the manifest's bytes."""
        version = self._reference.version
        with (
            self._errors(),
            self._client.stream(
                "GET", f"manifests/{version}", headers={"Accept": _ACCEPTED}
            ) as response,
        ):
            self._check(response)
            content = _bounded(response, _MAX_MANIFEST_BYTES)
        if len(content) > _MAX_MANIFEST_BYTES:
            message = f"the manifest of {self.name} is larger than {_MAX_MANIFEST_BYTES} bytes"
            raise SourceInvalid(message)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if version.startswith("sha256:") and version != digest:
            message = f"{self.name} answered another manifest ({digest}) than {version}"
            raise SourceInvalid(message)
        return digest, content

    def blob(self, digest: str, offset: int, length: int | None = None) -> Chunks:
        """Yield a blob's bytes from `offset`."""
        end = "" if length is None else offset + length - 1
        headers = {"Range": f"bytes={offset}-{end}"}
        with (
            self._errors(),
            self._client.stream("GET", f"blobs/{digest}", headers=headers) as response,
        ):
            self._check(response)
            skip = 0 if response.status_code == HTTPStatus.PARTIAL_CONTENT else offset
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                yield chunk[skip:]
                skip = max(skip - len(chunk), 0)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what the client raises into an error of ours."""
        try:
            yield
        except (HTTPError, InvalidURL, OSError) as error:
            message = f"{self._reference.api} does not answer for {self.name}: {error}"
            raise SourceUnavailable(message) from error

    def _check(self, response: Response) -> None:
        """Raise what an answer means that is no success."""
        if response.is_success:
            return
        problem = f"{response.status_code} {_words(response)}".strip()
        raise self._meaning(response, problem)

    def _meaning(self, response: Response, problem: str) -> StepError:
        asked = f"{self.name} at {self._reference.version}"
        match response.status_code:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                secret = f"{FIELD}.pullSecretRef"
                advice = (
                    f"the credentials of {secret} do not open it"
                    if self._task.pull_secret
                    else f"if it is private, set {secret}"
                )
                return AccessDenied(f"the registry refuses access to {asked} ({problem}): {advice}")
            case HTTPStatus.NOT_FOUND:
                return SourceNotFound(
                    f"the registry has no {asked} ({problem}): correct {FIELD}.reference"
                )
            case status if (
                status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
            ):
                return self._unavailable(response, f"does not answer for {asked}: {problem}")
        return SourceInvalid(f"the registry cannot serve {asked}: {problem}")

    def _unavailable(self, response: Response, told: str) -> SourceUnavailable:
        """Return an error that waits as long as the registry asks, within reason."""
        error = SourceUnavailable(f"{self._reference.api} {told}")
        asked = response.headers.get("Retry-After", "")
        if asked.isdecimal() and int(asked) > 0:
            error.retry_after = timedelta(seconds=min(int(asked), _LONGEST_WAIT_SECONDS))
        return error


def _login(task: OCISource, name: str) -> str | None:
    """Return what the pull secret holds for a repository."""
    if task.pull_secret is None:
        return None
    return login(Path(task.pull_secret), name, f"{FIELD}.pullSecretRef")


def _bounded(response: Response, most: int) -> bytes:
    """Return a body, or its start that is longer than `most`."""
    content = bytearray()
    for chunk in response.iter_bytes(_MAX_ERROR_BYTES):
        content += chunk
        if len(content) > most:
            break
    return bytes(content)


def _words(response: Response) -> str:
    """Return the registry's own code and message, where its answer has them."""
    try:
        found = json.loads(_bounded(response, _MAX_ERROR_BYTES))["errors"][0]
        words = f"{found['code']}: {found['message']}"
    except (ValueError, LookupError, TypeError, RecursionError):
        words = response.reason_phrase
    return " ".join(words.split())[:300]
