"""The test hub's faults and log, asked through the API server as any Service is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.commands import wait_until
from demo.story import HUB_NAMESPACE
from e2e.kube import Kube, Object, Refused
from e2e.models import PAUSE_SECONDS

BACK_SECONDS = 30


class HubControl:
    """Switches faults of the hub on, for the requests of one repository.

    A fault names its repository, so that models of other tests are not disturbed.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._service = f"api/v1/namespaces/{HUB_NAMESPACE}/services/hub"
        self._path = f"{self._service}:80/proxy/_control"

    def clear(self) -> None:
        """Switch all faults off and forget the requests."""
        self._kube.call("DELETE", self._path)

    def add(self, kind: str, path: str, **more: Any) -> None:
        """Switch one fault on for requests whose path matches; see tests/hub/faults.py."""
        fault = {"kind": kind, "path": path, **more}
        self._kube.call("POST", self._path, {"faults": [fault]})

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Have connections to the hub refused, from everybody, for the time of a block."""
        chosen = self._kube.call("GET", self._service)["spec"]["selector"]
        self._kube.merge(self._service, {"spec": {"selector": {"app": "nothing"}}})
        try:
            yield
        finally:
            self._kube.merge(self._service, {"spec": {"selector": chosen}})
            wait_until("the hub answers again", self._answers, BACK_SECONDS, PAUSE_SECONDS)

    def _answers(self) -> bool:
        try:
            self._kube.call("GET", self._path)
        except Refused:
            return False
        return True

    def requests(self, path: str) -> list[Object]:
        """Return the requests whose path contains this text."""
        found: list[Object] = self._kube.call("GET", self._path)["requests"]
        return [request for request in found if path in request["path"]]
