"""All that the command line asks of a cluster: one model, its pods, their logs, one chat request.

The API server is reached as kubectl reaches it, see `qmodel.cli.kubeconfig`. A program that may not
read pods or logs still follows a model: the operator writes coarse progress into status.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.watch import Watch
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from qmodel.api.base import GROUP, PLURAL, VERSION
from qmodel.api.conditions import ConditionType
from qmodel.api.resource import QuantizedModel
from qmodel.cli import volume
from qmodel.cli.artifact import ArtifactFiles
from qmodel.cli.errors import AccessError, AccessInterruptedError, told
from qmodel.cli.kubeconfig import Target, resolve
from qmodel.cluster import parse
from qmodel.naming import HTTP_PORT_NAME, MODEL_UID_LABEL, STEP_LABEL, child_name

CHAT_SECONDS = 300
LOG_LINES = 5
"""Lines of a running container that are read: its progress, without all that led there."""
RECONNECTS = 30
RECONNECT_SECONDS = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """A container of a step's pod that has a log to read."""

    pod: str
    container: str


class Access(Protocol):
    """What the commands need of a cluster; tests give a scripted one."""

    def model(self, namespace: str, name: str) -> QuantizedModel:
        """Return the model as it is now."""

    def changes(self, namespace: str, name: str) -> Iterator[QuantizedModel | None]:
        """Yield the model at every change, first as it is; None when it is deleted."""

    def running(self, namespace: str, uid: str) -> Iterator[RunningContainer]:
        """Yield each container of the model's Jobs once it runs, those that run already first."""

    def log(self, namespace: str, container: RunningContainer) -> Iterator[str]:
        """Yield the last lines of a log, then what follows until the container ends."""

    def chat(self, model: QuantizedModel, request: dict[str, Any]) -> dict[str, Any]:
        """Send one chat completion request to the model; returns the server's answer."""

    def files(self, model: QuantizedModel) -> ArtifactFiles:
        """Return what the volume holds beside the model's artifact."""

    def close(self) -> None:
        """End every stream."""


def connect(target: Target) -> tuple["Cluster", str]:
    """Return the cluster and the namespace that are meant.

    Raises
    ------
    AccessError
        There is no such cluster.
    """
    # It would tell of each retried connection in the middle of a progress bar.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    configuration, namespace = resolve(target)
    return Cluster(client.ApiClient(configuration)), namespace


class Cluster:
    """The API server."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
        self._custom = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)
        self._open: set[Watch] = set()
        self._closing = threading.Event()

    def close(self) -> None:
        """End every stream, so that whoever reads one comes to an end."""
        self._closing.set()
        for watch in tuple(self._open):
            watch.stop()

    def model(self, namespace: str, name: str) -> QuantizedModel:
        """Return the model as it is now."""
        try:
            body = self._custom.get_namespaced_custom_object(
                GROUP, VERSION, namespace, PLURAL, name
            )
        except (ApiException, HTTPError) as error:
            raise told(error, f"QuantizedModel {name} in namespace {namespace}") from error
        return _model(body)

    def changes(self, namespace: str, name: str) -> Iterator[QuantizedModel | None]:
        """Yield the model at every change, first as it is; None when it is deleted."""
        return self._again(lambda: self._changes(namespace, name))

    def _changes(self, namespace: str, name: str) -> Iterator[QuantizedModel | None]:
        yield self.model(namespace, name)
        listing = self._custom.list_namespaced_custom_object
        chosen = f"metadata.name={name}"
        words = (GROUP, VERSION, namespace, PLURAL)
        what = f"watching QuantizedModel {name}"
        for event in self._stream(what, listing, *words, field_selector=chosen):
            yield None if event["type"] == "DELETED" else _model(event["object"])

    def running(self, namespace: str, uid: str) -> Iterator[RunningContainer]:
        """Yield each container of the model's Jobs once it runs, those that run already first."""
        seen: set[RunningContainer] = set()
        listing = self._core.list_namespaced_pod
        chosen = f"{MODEL_UID_LABEL}={uid},{STEP_LABEL}"
        what = "watching pods"
        events = self._again(lambda: self._stream(what, listing, namespace, label_selector=chosen))
        for event in events:
            pod: parse.Object = event["object"]
            found = RunningContainer(pod["metadata"]["name"], parse.running_container(pod))
            if found.container and found not in seen:
                seen.add(found)
                yield found

    def log(self, namespace: str, container: RunningContainer) -> Iterator[str]:
        """Yield the last lines of a log, then what follows until the container ends."""
        reading = self._core.read_namespaced_pod_log
        what = f"log of pod {container.pod}"
        yield from self._stream(
            what,
            reading,
            container.pod,
            namespace,
            container=container.container,
            tail_lines=LOG_LINES,
        )

    def chat(self, model: QuantizedModel, request: dict[str, Any]) -> dict[str, Any]:
        """Send one chat completion request through the API server's proxy to the model's Service.

        Works wherever kubectl works: the Service needs no address outside the cluster.
        """
        service = f"{child_name(model.name)}:{HTTP_PORT_NAME}"
        words = self._api.param_serialize(
            "POST",
            f"/api/v1/namespaces/{model.namespace}/services/{service}/proxy/v1/chat/completions",
            header_params={"Content-Type": "application/json", "Accept": "application/json"},
            body=request,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*words, _request_timeout=CHAT_SECONDS)
            text = response.read()
        except (ApiException, HTTPError) as error:
            raise told(error, f"chat with {model.name}") from error
        if response.status >= 300:  # noqa: PLR2004  what HTTP calls no success
            message = f"{model.name} answered {response.status}: {text.decode(errors='replace')}"
            raise AccessError(message)
        answer: dict[str, Any] = json.loads(text)
        return answer

    def files(self, model: QuantizedModel) -> ArtifactFiles:
        """Return what the volume holds beside the model's artifact; takes a pod."""
        return volume.read(self._core, model)

    def _again(self, follow: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Follow anew what is interrupted, such as by a restart of the API server.

        What was never followed is not tried again: then the cluster is not there.
        """
        tries = 0
        while not self._closing.is_set():
            try:
                for item in follow():
                    tries = RECONNECTS
                    yield item
            except AccessInterruptedError:
                if not tries:
                    raise
                tries -= 1
                self._closing.wait(RECONNECT_SECONDS)

    def _stream(
        self, what: str, function: Callable[..., Any], *words: str, **chosen: str | int
    ) -> Iterator[Any]:
        """Yield what the API server sends: events of a listing, lines of a log."""
        watch = Watch(return_type="object")
        self._open.add(watch)
        try:
            for item in watch.stream(function, *words, **chosen):
                if self._closing.is_set():
                    return
                yield item
        except (ApiException, HTTPError) as error:
            raise told(error, what) from error
        finally:
            self._open.discard(watch)


def require_answering(model: QuantizedModel) -> None:
    """Raise what to do where no server of the model answers."""
    if not model.status.is_true(ConditionType.AVAILABLE) and model.status.serving_revision is None:
        message = (
            f"{model.name} does not serve yet (stage: {model.status.stage or 'none'}). "
            f"Follow it by: kubectl qmodel watch {model.name} -n {model.namespace}"
        )
        raise AccessError(message)


def _model(body: Any) -> QuantizedModel:
    """Return a model that an operator of another version may have written."""
    known = parse.identity(body["metadata"])
    written = {"spec": body["spec"], "status": body.get("status", {})}
    try:
        return QuantizedModel.model_validate({**known, **written}, extra="ignore")
    except ValidationError as error:
        problems = "; ".join(parse.problems(error))
        message = f"{known['name']} is not as this version of qmodel knows it: {problems}"
        raise AccessError(message) from error
