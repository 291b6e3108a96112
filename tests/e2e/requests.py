"""A pod that asks a model without a pause, through its Service, and counts what fails."""

import json
from types import TracebackType
from typing import Self

from cluster.commands import wait_until
from e2e.kube import Object
from e2e.models import CORE, PAUSE_SECONDS, Models, fresh_name

CLIENT = """
import json, signal, sys, time, urllib.request
asked = failed = 0
first_error = ""
stop = False
def end(*_):
    global stop
    stop = True
signal.signal(signal.SIGTERM, end)
body = json.dumps({"messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}).encode()
while not stop:
    request = urllib.request.Request(sys.argv[1] + "/chat/completions", body,
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            json.load(answer)["choices"]
    except Exception as error:
        failed += 1
        first_error = first_error or f"{time.time():.1f} {error!r}"
    asked += 1
    print(json.dumps({"asked": asked, "failed": failed, "error": first_error}), flush=True)
    time.sleep(0.1)
"""
START_SECONDS = 60


class Requests:
    """Continuous requests for the time of a block.

    Parameters
    ----------
    image
        Any that has Python.
    address
        The model's base URL inside the cluster.
    """

    def __init__(self, models: Models, image: str, address: str) -> None:
        self._models = models
        self._path = models.path(CORE, "pods", fresh_name("client"))
        self._body = _pod(image, address)

    def __enter__(self) -> Self:
        self._models.kube.apply(self._path, self._body)
        self._models.kube.wait(
            self._path,
            lambda pod: pod and pod["status"]["phase"] == "Running",
            START_SECONDS,
            "running",
        )
        wait_until("a request was made", self._lines, START_SECONDS, PAUSE_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._models.kube.delete(self._path)

    def counts(self) -> Object:
        """Return how many requests were made and failed, and the first failure."""
        found: Object = json.loads(self._lines()[-1])
        return found

    def wait_asked(self, more: int, seconds: float) -> None:
        """Wait until so many more requests were made."""
        asked = self.counts()["asked"] + more
        wait_until(
            f"{asked} requests were made",
            lambda: self.counts()["asked"] >= asked,
            seconds,
            PAUSE_SECONDS,
        )

    def _lines(self) -> list[str]:
        return str(self._models.kube.call("GET", f"{self._path}/log")).splitlines()


def _pod(image: str, address: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 5,
            "containers": [
                {
                    "name": "client",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python3", "-c", CLIENT, address],
                }
            ],
        },
    }
