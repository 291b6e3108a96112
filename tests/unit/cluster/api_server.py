"""An API server as far as `qmodel.cluster.client` speaks to one: the only thing that is faked.

It keeps objects, their versions and who holds their fields, and refuses what the real one refuses:
a name that exists, a uid that is another's. Whether the real one does so is proven in
tests/integration.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from copy import deepcopy
from typing import Any

from managed_fields import applied, created, updated

from qmodel.cluster.errors import AlreadyExists, ApiError, Conflict, NotFound
from qmodel.cluster.kinds import Kind, Scope

Object = dict[str, Any]
Key = tuple[str, str, str]


class FakeApiServer:
    """Stands in for an ApiClient."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.calls: list[str] = []
        self.fail: dict[str, ApiError] = {}
        """Errors by call, such as `create Job/x`."""
        self._versions = itertools.count(1000)
        self._events: defaultdict[str, asyncio.Queue[Object]] = defaultdict(asyncio.Queue)

    def add(self, kind: Kind, body: Object) -> Object:
        """Put an object there, as someone else would."""
        body = deepcopy(body)
        meta = body["metadata"]
        meta.setdefault("name", f"{meta.get('generateName', '')}{next(self._versions)}")
        meta.setdefault("uid", f"uid-{next(self._versions)}")
        meta["resourceVersion"] = str(next(self._versions))
        meta.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        self.objects[kind.name, meta.get("namespace", ""), meta["name"]] = body
        return deepcopy(body)

    def tell(self, kind: Kind, change: str, body: Object) -> None:
        """Send an event to whoever watches."""
        self._events[kind.name].put_nowait({"type": change, "object": deepcopy(body)})

    def end_watch(self, kind: Kind, error: ApiError) -> None:
        """Break a watch."""
        self._events[kind.name].put_nowait({"type": "BREAK", "object": error})

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        self._called("get", kind, name)
        return deepcopy(self._find(kind, namespace, name))

    async def list(self, scope: Scope) -> AsyncIterator[Object]:
        self._called("list", scope.kind, "")
        items = [deepcopy(o) for (kind, *_), o in self.objects.items() if kind == scope.kind.name]
        version = str(next(self._versions))
        middle = len(items) // 2
        for page in (items[:middle], items[middle:]):
            yield {"items": page, "metadata": {"resourceVersion": version}}

    async def watch(self, scope: Scope, version: str) -> AsyncIterator[Object]:
        self._called("watch", scope.kind, version)
        while True:
            event = await self._events[scope.kind.name].get()
            if event["type"] == "BREAK":
                raise event["object"]
            yield event

    async def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        name = body["metadata"].get("name", "")
        self._called("create", kind, name)
        if (kind.name, namespace, name) in self.objects:
            raise AlreadyExists(name, 409, "AlreadyExists", f"{name} already exists")
        body = created(body)
        body["metadata"] |= {"namespace": namespace, "generation": 1}
        return self.add(kind, body)

    async def apply(
        self, kind: Kind, namespace: str, name: str, body: Object, sub: str = ""
    ) -> Object:
        self._called("apply" + (f" {sub}" if sub else ""), kind, name)
        found = self._find(kind, namespace, name)
        for field in ("uid", "resourceVersion"):
            if body["metadata"].get(field, found["metadata"][field]) != found["metadata"][field]:
                raise Conflict(name, 409, "Conflict", f"{field} mismatch")
        if sub:  # nobody else writes there
            return self.add(kind, {**found, sub: body[sub]})
        return self.add(kind, applied(found, body))

    async def patch(
        self, kind: Kind, namespace: str, name: str, operations: Sequence[Object]
    ) -> Object:
        self._called("patch", kind, name)
        found = deepcopy(self._find(kind, namespace, name))
        body = deepcopy(found)
        for each in operations:
            _, part, field = each["path"].split("/")
            body[part][field] = each["value"]
        if body["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise Conflict(name, 409, "Conflict", "it changed meanwhile")
        return self.add(kind, updated(found, body))

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        self._called("delete", kind, name)
        if self._find(kind, namespace, name)["metadata"]["uid"] != uid:
            raise Conflict(name, 409, "Conflict", "uid mismatch")
        del self.objects[kind.name, namespace, name]

    async def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        self._called("replace", kind, name)
        found = self._find(kind, namespace, name)
        if body["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise Conflict(name, 409, "Conflict", "it changed meanwhile")
        return self.add(kind, body)

    def _called(self, verb: str, kind: Kind, name: str) -> None:
        call = f"{verb} {kind.name}/{name}".removesuffix("/")
        self.calls.append(call)
        if call in self.fail:
            raise self.fail[call]

    def _find(self, kind: Kind, namespace: str, name: str) -> Object:
        found = self.objects.get((kind.name, namespace, name))
        if found is None:
            raise NotFound(name, 404, "NotFound", f"{name} not found")
        return found
