"""Valid models to begin with, as the API server keeps them."""

from collections.abc import Iterator
from typing import Any

from qmodel.api.conditions import ConditionType
from qmodel.api.resource import QuantizedModel
from qmodel.api.spec import QuantizedModelSpec
from qmodel.api.status import QuantizedModelStatus
from qmodel.cli.access import RunningContainer
from qmodel.cli.artifact import ArtifactFiles
from qmodel.cli.errors import AccessError

SPEC = {
    "source": {"huggingFace": {"repository": "HuggingFaceTB/SmolLM2-135M-Instruct"}},
    "quantization": {"method": "GGUF"},
}


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def status(done: int, *, reason: str = "", message: str = "", **more: Any) -> dict[str, Any]:
    """The first `done` conditions are True; the next one is worked on, or has that reason."""
    kinds = list(ConditionType)
    conditions = []
    for position, kind in enumerate(kinds):
        if position < done:
            conditions.append(condition(kind, "True", "Done", f"{kind} is done"))
        elif position == done:
            conditions.append(condition(kind, "Unknown", reason or "Deploying", message))
        else:
            conditions.append(condition(kind, "Unknown", f"WaitingFor{kinds[position - 1]}"))
    return {"observedGeneration": 1, "conditions": conditions, **more}


def failed(position: int, reason: str, message: str) -> dict[str, Any]:
    made = status(position)
    for index in (position, -1):
        kind = made["conditions"][index]["type"]
        made["conditions"][index] = condition(kind, "False", reason, message)
    return made


def model(of: dict[str, Any] | None = None, generation: int = 1) -> QuantizedModel:
    return QuantizedModel(
        name="smollm2",
        namespace="demo",
        uid="uid-1",
        generation=generation,
        spec=QuantizedModelSpec.model_validate(SPEC),
        status=QuantizedModelStatus.model_validate(of or {}),
    )


class ScriptedAccess:
    """A cluster in which everything happens as written; it fakes `access.Access`, no more."""

    def __init__(
        self,
        models: list[QuantizedModel | None],
        logs: dict[RunningContainer, list[str]] | None = None,
        error: AccessError | None = None,
    ) -> None:
        self.models = models
        self.logs = logs or {}
        self.error = error
        self.requests: list[dict[str, Any]] = []
        self.read: list[str] = []
        self.answer: str | None = " Paris.\n"
        self.ended = "stop"
        self.closed = False

    def model(self, namespace: str, name: str) -> QuantizedModel:
        found = self.models[-1]
        if found is None or (found.namespace, found.name) != (namespace, name):
            message = f"QuantizedModel {name} in namespace {namespace}: not found"
            raise AccessError(message)
        return found

    def changes(self, namespace: str, name: str) -> Iterator[QuantizedModel | None]:
        assert (namespace, name) == ("demo", "smollm2")
        yield from self.models
        if self.error:
            raise self.error

    def running(self, _namespace: str, _uid: str) -> Iterator[RunningContainer]:
        yield from self.logs

    def log(self, _namespace: str, container: RunningContainer) -> Iterator[str]:
        yield from self.logs[container]

    def chat(self, _model: QuantizedModel, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        return {"choices": [{"message": {"content": self.answer}, "finish_reason": self.ended}]}

    def files(self, model: QuantizedModel) -> ArtifactFiles:
        self.read.append(model.name)
        return ArtifactFiles()

    def close(self) -> None:
        self.closed = True
