"""The API server as plain JSON: one call a verb, and waits that watch and end at a deadline."""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
from kubernetes import client, config

Object = dict[str, Any]
FIELD_MANAGER = "e2e"
CALL_SECONDS = 60
PATIENCE = 5
"""So often an API server may ask to come again, as after a changed definition."""


class Late(AssertionError):  # noqa: N818  a verdict, not a defect
    """What was waited for did not come in time; the message says what was there instead."""


class Refused(Exception):  # noqa: N818  what the API server did
    """The API server refused a request; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Kube:
    """One cluster.

    Parameters
    ----------
    kubeconfig
        Path of a file.
    """

    def __init__(self, kubeconfig: str) -> None:
        found = client.Configuration()
        config.load_kube_config(kubeconfig, client_configuration=found)
        tls = ssl.create_default_context(cafile=found.ssl_ca_cert)
        if found.cert_file:
            tls.load_cert_chain(found.cert_file, found.key_file)
        token = found.get_api_key_with_prefix("authorization")
        headers = {"Authorization": token} if token else {}
        self._http = httpx.Client(
            base_url=found.host, verify=tls, headers=headers, timeout=CALL_SECONDS
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(
        self,
        verb: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        seconds: float = CALL_SECONDS,
    ) -> Any:
        """Send one request; return the JSON of the answer, or its text where it is none.

        Raises
        ------
        Refused
            The answer is an error.
        """
        request = self._http.build_request(
            verb,
            path,
            content=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type},
            params=query,
            timeout=seconds,
        )
        answer = self._http.send(request)
        for _ in range(PATIENCE):
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
            time.sleep(float(answer.headers.get("Retry-After", 1)))
            answer = self._http.send(request)
        _require_success(answer)
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.json() if is_json else answer.text

    def find(self, path: str) -> Object | None:
        """Return an object, or None where there is none."""
        try:
            found: Object = self.call("GET", path)
        except Refused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise
        return found

    def items(self, path: str, selector: str = "") -> list[Object]:
        """Return the objects of a list."""
        found: list[Object] = self.call("GET", path, query={"labelSelector": selector})["items"]
        return found

    def apply(self, path: str, body: Object, manager: str = FIELD_MANAGER) -> Object:
        """Make or change an object by server-side apply; its name is the path's last part."""
        body = {**body, "metadata": {**body.get("metadata", {}), "name": path.rpartition("/")[2]}}
        query = {"fieldManager": manager, "force": "true"}
        kind = "application/apply-patch+yaml"
        found: Object = self.call("PATCH", path, body, kind, query)
        return found

    def merge(self, path: str, body: Object) -> Object:
        """Change some fields of an object; None removes one."""
        found: Object = self.call("PATCH", path, body, "application/merge-patch+json")
        return found

    def delete(self, path: str) -> None:
        """Delete an object and, in the background, what it owns; one that is gone is no error."""
        try:
            self.call("DELETE", path, {"propagationPolicy": "Background"})
        except Refused as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise

    def wait(
        self,
        path: str,
        holds: Callable[[Object | None], object],
        seconds: float,
        what: str = "as expected",
    ) -> Object:
        """Watch an object until something holds of it; return it as it then is.

        Parameters
        ----------
        holds
            Asked at every change; with None where there is no such object.

        Raises
        ------
        Late
            It did not come to hold in time; with the object as it was last.
        """
        deadline = time.monotonic() + seconds
        while True:
            found, version = self._look(path)
            if holds(found):
                return found or {}
            left = deadline - time.monotonic()
            if left <= 0:
                message = f"{path} is not {what} after {seconds:.0f} s: {_brief(found)}"
                raise Late(message)
            for changed in self._changes(path, version, left):
                if holds(changed):
                    return changed or {}

    def _look(self, path: str) -> tuple[Object | None, str]:
        """Return an object, if it is there, and the version of the cluster to watch from."""
        collection, _, name = path.rpartition("/")
        found = self.call("GET", collection, query={"fieldSelector": f"metadata.name={name}"})
        return next(iter(found["items"]), None), found["metadata"]["resourceVersion"]

    def _changes(self, path: str, version: str, seconds: float) -> Iterator[Object | None]:
        """Yield an object at every change, None when it is gone."""
        collection, _, name = path.rpartition("/")
        query = {
            "watch": "1",
            "fieldSelector": f"metadata.name={name}",
            "timeoutSeconds": str(max(1, int(seconds))),
            "resourceVersion": version,
        }
        with self._http.stream("GET", collection, params=query, timeout=seconds + 5) as answer:
            if not answer.is_success:
                answer.read()
            _require_success(answer)
            for line in answer.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":  # such as a version that is too old
                    return
                yield None if event["type"] == "DELETED" else event["object"]


def _require_success(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    try:
        message = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = answer.text
    raise Refused(answer.status_code, message)


def _brief(found: Object | None) -> str:
    """Return what of an object tells how it is."""
    if found is None:
        return "there is none"
    return json.dumps(found.get("status", found), indent=1)[:4000]
