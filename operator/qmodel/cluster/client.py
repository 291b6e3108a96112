"""All requests to the API server: one small method a verb, JSON in and JSON out.

Plain aiohttp and plain dictionaries instead of the official client's generated API classes. Those
validate every answer into models that the store would at once reduce to a few fields: measured on
a Job, that is several times the cost of parsing its JSON, and a model's way to Ready is some sixty
answers and events. Bodies come typed from `qmodel.resources`; `qmodel.cluster.parse` reads answers.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

import aiohttp
import orjson

from qmodel.cluster.credentials import Credentials
from qmodel.cluster.errors import DEFAULT_RETRY_SECONDS, from_status, is_success, translated
from qmodel.cluster.kinds import POD, Kind, Scope
from qmodel.cluster.parse import Object
from qmodel.metrics import API_CALLS
from qmodel.naming import MANAGER

PAGE_SIZE = 500
"""Objects of one page of a LIST."""

REQUEST_SECONDS = 30
"""Longest time of one request."""

KEEPALIVE_SECONDS = 60
"""An idle connection is kept so long: a new one costs as much as ten requests. The API server
closes it after 90."""

SILENCE_SECONDS = 120
"""A watch that brings nothing for so long is dead: a living one has a bookmark every minute."""

MAX_LINE_BYTES = 4 * 2**20
"""Longest line of a stream; no object can be larger, and a container's output must not be."""

_JSON = "application/json"
_JSON_PATCH = "application/json-patch+json"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_METHODS = {
    "get": "GET",
    "list": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
"""By the verbs that RBAC and the metrics have."""


class ApiClient:
    """Speaks to one API server.

    Parameters
    ----------
    credentials
        Where it is and how to authenticate.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._server = credentials.server
        self._session = session(credentials)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """Read one object."""
        return await self._json("get", kind, kind.path(namespace, name))

    async def list(self, scope: Scope) -> AsyncIterator[Object]:
        """Read all objects, a page at a time; each page's metadata has the list's version."""
        params = {"limit": str(PAGE_SIZE), "labelSelector": scope.selector}
        path = scope.kind.path(scope.namespace)
        while True:
            page = await self._json("list", scope.kind, path, params=params)
            yield page
            params["continue"] = page["metadata"].get("continue", "")
            if not params["continue"]:
                return

    async def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        """Create an object that must not exist yet."""
        params = {"fieldManager": MANAGER}
        path = kind.path(namespace)
        return await self._json("create", kind, path, params=params, body=body)

    async def apply(
        self, kind: Kind, namespace: str, name: str, body: Object, sub: str = ""
    ) -> Object:
        """Apply the fields that are ours; with `metadata.uid` only to that very object."""
        params = {"fieldManager": MANAGER, "force": "true"}
        path = kind.path(namespace, name, sub)
        return await self._json("patch", kind, path, _APPLY, params=params, body=body)

    async def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Object]
    ) -> Object:
        """Change an object by a JSON patch; with its resourceVersion only if it did not change."""
        params = {"fieldManager": MANAGER}
        path = kind.path(namespace, name)
        return await self._json("patch", kind, path, _JSON_PATCH, params=params, body=operations)

    async def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        """Replace an object; with `metadata.resourceVersion` only if it did not change."""
        return await self._json("update", kind, kind.path(namespace, name), body=body)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete that very object; what it owns goes in the background."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        await self._json("delete", kind, kind.path(namespace, name), body=body)

    async def watch(self, scope: Scope, version: str) -> AsyncIterator[Object]:
        """Yield the events after `version` until the stream ends.

        Raises
        ------
        qmodel.cluster.errors.Gone
            If the API server no longer knows that version.
        """
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": scope.selector,
            "resourceVersion": version,
        }
        path = scope.kind.path(scope.namespace)
        async for lines in self._stream("watch", scope.kind, path, params):
            for event in map(orjson.loads, lines):
                if event["type"] == "ERROR":
                    code = event["object"]["code"]
                    request = f"watch {path}"
                    raise from_status(request, code, orjson.dumps(event["object"]))
                yield event

    async def log(self, namespace: str, pod: str, container: str) -> AsyncIterator[bytes]:
        """Yield the lines of a container's log as they are written."""
        params = {"container": container, "follow": "true"}
        path = POD.path(namespace, pod, "log")
        async for lines in self._stream("get", POD, path, params, silence_seconds=None):
            for line in lines:
                yield line

    async def _json(
        self,
        verb: str,
        kind: Kind,
        path: str,
        content_type: str = _JSON,
        *,
        params: Mapping[str, str] | None = None,
        body: Object | Sequence[Object] | None = None,
    ) -> Object:
        """Send one request and parse its answer."""
        data = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": content_type} if data else None
        API_CALLS.labels(verb, kind.plural).inc()
        request = f"{verb} {path}"
        async with (
            translated(request),
            self._session.request(
                _METHODS[verb], self._server + path, params=params, data=data, headers=headers
            ) as answer,
        ):
            content = await answer.read()
        if not is_success(answer.status):
            raise from_status(request, answer.status, content, _retry_after(answer))
        parsed: Object = orjson.loads(content)
        return parsed

    async def _stream(
        self,
        verb: str,
        kind: Kind,
        path: str,
        params: Mapping[str, str],
        silence_seconds: float | None = SILENCE_SECONDS,
    ) -> AsyncIterator[Sequence[bytes]]:
        """Send one request and yield its answer's lines as they come, those of one read together.

        Lines may be of any length: aiohttp's own iteration fails on those above 128 KiB.
        """
        API_CALLS.labels(verb, kind.plural).inc()
        request = f"{verb} {path}"
        timeout = aiohttp.ClientTimeout(sock_connect=REQUEST_SECONDS, sock_read=silence_seconds)
        async with (
            translated(request),
            self._session.get(self._server + path, params=params, timeout=timeout) as answer,
        ):
            if not is_success(answer.status):
                content = await answer.read()
                raise from_status(request, answer.status, content, _retry_after(answer))
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > MAX_LINE_BYTES:
                    message = f"a line of more than {MAX_LINE_BYTES} bytes"
                    raise aiohttp.ClientPayloadError(message)
                yield [line for line in lines if line]


def session(
    credentials: Credentials, *middlewares: aiohttp.ClientMiddlewareType
) -> aiohttp.ClientSession:
    """Return a session that authenticates each request anew, as tokens rotate.

    Parameters
    ----------
    middlewares
        Who else sees each request, before it is authenticated.
    """

    async def authenticate(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.headers.update(await credentials.headers())
        return await handler(request)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, ssl=credentials.tls(), keepalive_timeout=KEEPALIVE_SECONDS
        ),
        timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
        headers={"User-Agent": MANAGER, "Accept": _JSON},
        middlewares=(*middlewares, authenticate),
    )


def _retry_after(answer: aiohttp.ClientResponse) -> float:
    """Return the seconds that the Retry-After header asks for."""
    given = answer.headers.get("Retry-After", "")
    return float(given) if given.isdigit() else DEFAULT_RETRY_SECONDS
