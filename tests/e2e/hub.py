"""The test hub's faults and log, asked through the API server as any Service is."""

from typing import Any

from demo.story import HUB_NAMESPACE
from e2e.kube import Kube, Object


class HubControl:
    """Switches faults of the hub on, for the requests of one repository.

    A fault names its repository, so that models of other tests are not disturbed.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._path = f"api/v1/namespaces/{HUB_NAMESPACE}/services/hub:80/proxy/_control"

    def clear(self) -> None:
        """Switch all faults off and forget the requests."""
        self._kube.call("DELETE", self._path)

    def add(self, kind: str, path: str, **more: Any) -> None:
        """Switch one fault on for requests whose path matches; see tests/hub/faults.py."""
        fault = {"kind": kind, "path": path, **more}
        self._kube.call("POST", self._path, {"faults": [fault]})

    def requests(self, path: str) -> list[Object]:
        """Return the requests whose path contains this text."""
        found: list[Object] = self._kube.call("GET", self._path)["requests"]
        return [request for request in found if path in request["path"]]
