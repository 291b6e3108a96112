import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from qmodel.cluster import client as api_client
from qmodel.cluster.client import ApiClient
from qmodel.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    Refused,
    Terminating,
    Unavailable,
)
from qmodel.cluster.kinds import JOB, NODE, Scope
from qmodel.naming import MANAGER

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Credentials:
    """As `qmodel.cluster.credentials.Credentials`, with a token that rotates."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._count = 0

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    async def headers(self) -> dict[str, str]:
        self._count += 1
        return {"Authorization": f"Bearer token-{self._count}"}


class World:
    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], str, str]] = []
        self.answer: Handler = self.empty

    async def empty(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(
            (
                request.method,
                request.path,
                dict(request.query),
                await request.text(),
                request.headers.get("Authorization", ""),
            )
        )
        return await self.answer(request)

    def refuse(self, status: int, reason: str, message: str = "no") -> None:
        async def answer(_: web.Request) -> web.Response:
            body = {"kind": "Status", "reason": reason, "message": message, "code": status}
            return web.json_response(body, status=status, headers={"Retry-After": "7"})

        self.answer = answer

    def stream(self, *chunks: bytes) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            for chunk in chunks:
                await response.write(chunk)
            return response

        self.answer = answer


@pytest_asyncio.fixture
async def world() -> AsyncIterator[tuple[World, ApiClient]]:
    found = World()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", found.handle)
    async with TestServer(application) as server:
        client = ApiClient(Credentials(str(server.make_url("")).rstrip("/")))  # type: ignore[arg-type]
        yield found, client
        await client.close()


Both = tuple[World, ApiClient]


async def test_each_request_authenticates_with_the_token_of_the_moment(world: Both) -> None:
    server, client = world
    await client.get(JOB, "ns", "a")
    await client.get(NODE, None, "n")
    assert [request[4] for request in server.requests] == ["Bearer token-1", "Bearer token-2"]
    assert [request[1] for request in server.requests] == [
        "/apis/batch/v1/namespaces/ns/jobs/a",
        "/api/v1/nodes/n",
    ]


async def test_an_apply_names_its_manager_and_the_uid(world: Both) -> None:
    server, client = world
    await client.apply(JOB, "ns", "a", {"metadata": {"uid": "u"}}, sub="status")
    method, path, query, body, _ = server.requests[0]
    assert (method, path) == ("PATCH", "/apis/batch/v1/namespaces/ns/jobs/a/status")
    assert query == {"fieldManager": MANAGER, "force": "true"}
    assert json.loads(body) == {"metadata": {"uid": "u"}}


async def test_a_patch_says_that_it_is_a_list_of_changes(world: Both) -> None:
    server, client = world
    types: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        types.append(request.content_type)
        return web.json_response({})

    server.answer = answer
    change = {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    await client.patch(JOB, "ns", "a", [change])
    await client.apply(JOB, "ns", "a", {})
    await client.create(JOB, "ns", {"metadata": {}})
    assert types == [
        "application/json-patch+json",
        "application/apply-patch+yaml",
        "application/json",
    ]
    method, path, query, body, _ = server.requests[0]
    assert (method, path) == ("PATCH", "/apis/batch/v1/namespaces/ns/jobs/a")
    assert query == {"fieldManager": MANAGER}
    assert json.loads(body) == [change]


async def test_a_delete_has_the_uid_as_its_precondition(world: Both) -> None:
    server, client = world
    await client.delete(JOB, "ns", "a", "u")
    assert json.loads(server.requests[0][3]) == {
        "propagationPolicy": "Background",
        "preconditions": {"uid": "u"},
    }


async def test_a_list_comes_in_pages(world: Both) -> None:
    server, client = world

    async def answer(request: web.Request) -> web.Response:
        following = "" if "continue" in request.query else "next"
        meta = {"resourceVersion": "9", "continue": following}
        return web.json_response({"items": [request.query.get("continue", "")], "metadata": meta})

    server.answer = answer
    pages = [page["items"] async for page in client.list(Scope(JOB, None, "label"))]
    assert pages == [[""], ["next"]]
    assert server.requests[0][2] == {"limit": "500", "labelSelector": "label"}


async def test_a_watch_yields_events_however_they_are_cut(world: Both) -> None:
    server, client = world
    events = [{"type": "ADDED", "object": {"text": "ä" * size}} for size in (1, 200_000, 3)]
    content = b"".join(json.dumps(e, ensure_ascii=False).encode() + b"\n" for e in events)
    server.stream(content[:5], content[5:100_001], content[100_001:])
    found = [event async for event in client.watch(Scope(JOB), "5")]
    assert found == events
    assert server.requests[0][2]["resourceVersion"] == "5"


async def test_a_watch_from_a_forgotten_version_says_so(world: Both) -> None:
    server, client = world
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    server.stream(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
    with pytest.raises(Gone):
        [event async for event in client.watch(Scope(JOB), "5")]


async def test_a_line_without_end_is_given_up(world: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    server, client = world
    monkeypatch.setattr(api_client, "MAX_LINE_BYTES", 1000)
    server.stream(b"x" * 5000)
    with pytest.raises(Unavailable, match="a line of more than"):
        [line async for line in client.log("ns", "pod", "container")]


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (400, "BadRequest", Refused),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Gone),
        (422, "Invalid", Refused),
        (401, "Unauthorized", Unavailable),
        (429, "TooManyRequests", Unavailable),
        (500, "InternalError", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
    ],
)
async def test_errors_say_what_they_are(
    world: Both, status: int, reason: str, error: type[ApiError]
) -> None:
    server, client = world
    server.refuse(status, reason)
    with pytest.raises(error) as caught:
        await client.create(JOB, "ns", {"metadata": {}})
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.reason) == (status, reason)


async def test_a_namespace_that_is_being_deleted_is_told_apart(world: Both) -> None:
    server, client = world

    async def answer(_: web.Request) -> web.Response:
        details = {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}
        body = {"kind": "Status", "reason": "Forbidden", "message": "no", "details": details}
        return web.json_response(body, status=403)

    server.answer = answer
    with pytest.raises(Terminating):
        await client.create(JOB, "ns", {"metadata": {}})


async def test_an_apply_to_an_object_made_anew_is_a_conflict(world: Both) -> None:
    server, client = world

    async def answer(_: web.Request) -> web.Response:
        details = {"causes": [{"reason": "FieldValueInvalid", "field": "metadata.uid"}]}
        body = {"kind": "Status", "reason": "Invalid", "message": "immutable", "details": details}
        return web.json_response(body, status=422)

    server.answer = answer
    with pytest.raises(Conflict):
        await client.apply(JOB, "ns", "a", {"metadata": {"uid": "u"}})


async def test_an_overloaded_api_server_says_when_to_come_again(world: Both) -> None:
    server, client = world
    server.refuse(429, "TooManyRequests")
    with pytest.raises(Unavailable) as caught:
        await client.get(JOB, "ns", "a")
    assert caught.value.retry_after_seconds == 7


async def test_no_connection_may_be_one_later() -> None:
    client = ApiClient(Credentials("http://127.0.0.1:9"))  # type: ignore[arg-type]
    with pytest.raises(Unavailable) as caught:
        await client.get(JOB, "ns", "a")
    assert caught.value.__cause__ is not None
    await client.close()


async def test_a_long_message_is_cut(world: Both) -> None:
    server, client = world
    server.refuse(422, "Invalid", "x" * 100_000)
    with pytest.raises(Refused) as caught:
        await client.get(JOB, "ns", "a")
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("body", [b"<html>secret</html>", b'{"data": {"token": "secret"}}', b"[]"])
async def test_a_body_that_is_no_status_is_dropped(world: Both, body: bytes) -> None:
    server, client = world

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=422, body=body)

    server.answer = answer
    with pytest.raises(Refused) as caught:
        await client.get(JOB, "ns", "a")
    assert "secret" not in str(caught.value)
