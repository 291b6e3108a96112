"""QuantizedModels of one namespace, and everything around them, as a person would handle them."""

import json
import uuid
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import yaml

from cluster.commands import wait_until
from e2e.kube import Kube, Object
from qmodel.api.base import GROUP, KIND, PLURAL, VERSION
from qmodel.naming import ATTEMPT_LABEL, MODEL_UID_LABEL, REVISION_LABEL, STEP_LABEL, child_name

API_VERSION = f"{GROUP}/{VERSION}"
MODELS = f"apis/{API_VERSION}"
BATCH = "apis/batch/v1"
APPS = "apis/apps/v1"
CORE = "api/v1"

READY_SECONDS = 420
"""From nothing to an answer, several models at once on two cores."""
VERDICT_SECONDS = 240
"""Until a bad model is told so."""
PASS_SECONDS = 30
"""Until the operator has seen an edit."""
PAUSE_SECONDS = 0.2
"""Between two looks at several objects."""
SHORT_CONTEXT = 256
"""Tokens; the least that the API allows."""
SMOLLM2 = "HuggingFaceTB/SmolLM2-135M-Instruct"
SMOLLM2_GGUF = "HuggingFaceTB/SmolLM2-135M-Instruct-GGUF"
TINY = "test/tiny"
QUESTION = "Complete: The capital of France is"
ANSWER = "Paris"
LITTLE_CPU = {"cpu": "100m"}
"""So that several quantize on two cores at once."""


def from_hub(repository: str, **more: Any) -> Object:
    """Return a source: a repository of the hub."""
    return {"huggingFace": {"repository": repository, **more}}


def from_claim(name: str, path: str = "") -> Object:
    """Return a source: a folder of a claim."""
    return {"persistentVolumeClaim": {"claimName": name, "path": path}}


def spec(source: Object, kind: str | None = "Q8_0", **more: Any) -> Object:
    """Return a spec: a GGUF type, or None for a source that is served as it is.

    Its context is short, which makes measuring short. The gate only warns: what a random model
    gets wrong is not what these tests are about.
    """
    serving = {"contextLength": SHORT_CONTEXT, **more.pop("serving", {})}
    base = {"source": source, "serving": serving, "accelerator": {"type": "CPU"}}
    if kind is None:
        return {**base, "quantization": {"method": "None"}, **more}
    quantization = {"method": "GGUF", "gguf": {"type": kind}, "resources": LITTLE_CPU}
    gate = {"onFailure": "Warn"}
    return {**base, "quantization": quantization, "qualityGate": gate, **more}


class Models:
    """The QuantizedModels of one namespace.

    Parameters
    ----------
    kube
        The cluster.
    namespace
        Exists already.
    """

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube = kube
        self.namespace = namespace

    def path(self, api: str, plural: str, name: str = "") -> str:
        """Return where the API server has objects of this namespace."""
        return f"{api}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def apply(self, name: str, wanted: Object) -> Object:
        """Apply a model by its spec."""
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": wanted,
        }
        return self.kube.apply(self.path(MODELS, PLURAL, name), body)

    def apply_yaml(self, text: str) -> list[str]:
        """Apply every model of a manifest; return their names."""
        documents = [d for d in yaml.safe_load_all(text) if d]
        for each in documents:
            self.apply(each["metadata"]["name"], each["spec"])
        return [each["metadata"]["name"] for each in documents]

    def edit(self, name: str, **changes: Any) -> Object:
        """Change some fields of a model's spec; None removes one."""
        return self.kube.merge(self.path(MODELS, PLURAL, name), {"spec": changes})

    def delete(self, name: str) -> None:
        """Delete a model."""
        self.kube.delete(self.path(MODELS, PLURAL, name))

    def get(self, name: str) -> Object:
        """Return a model."""
        found: Object = self.kube.call("GET", self.path(MODELS, PLURAL, name))
        return found

    def wait_for(
        self, name: str, kind: str, status: str, reason: str = "", seconds: float = READY_SECONDS
    ) -> Object:
        """Wait until a condition speaks of the present spec with this status, and reason if given.

        A condition that turns False meanwhile will not turn True without a person, and ends the
        wait at once.
        """

        def holds(model: Object | None) -> bool:
            found = condition(model, kind)
            if status == "True" and found["status"] == "False":
                message = f"{name} is {kind}=False: {found['reason']}: {found['message']}"
                raise AssertionError(message)
            return found["status"] == status and found["reason"] == (reason or found["reason"])

        path = self.path(MODELS, PLURAL, name)
        return self.kube.wait(path, holds, seconds, f"{kind}={status} {reason}".strip())

    def wait_ready(self, name: str, seconds: float = READY_SECONDS) -> Object:
        """Wait until a model serves as its spec asks now; return its status."""
        status: Object = self.wait_for(name, "Ready", "True", seconds=seconds)["status"]
        return status

    def refused(self, name: str, kind: str, reason: str, seconds: float = VERDICT_SECONDS) -> str:
        """Wait until a condition is False for this reason; return its message."""
        model = self.wait_for(name, kind, "False", reason, seconds)
        return str(condition(model, kind)["message"])

    def troubled(self, name: str, kind: str, reason: str, seconds: float = VERDICT_SECONDS) -> str:
        """Wait until a condition waits for this trouble to pass; return its message."""
        model = self.wait_for(name, kind, "Unknown", reason, seconds)
        return str(condition(model, kind)["message"])

    def wait_for_words(
        self, name: str, kind: str, words: str, seconds: float = VERDICT_SECONDS
    ) -> str:
        """Wait until a condition's message has these words; return the message."""
        found = self.kube.wait(
            self.path(MODELS, PLURAL, name),
            lambda model: words in condition(model, kind)["message"],
            seconds,
            f"{kind} with {words!r}",
        )
        return str(condition(found, kind)["message"])

    def wait_status(
        self, name: str, holds: Callable[[Object], object], seconds: float, what: str
    ) -> Object:
        """Wait until something holds of a model's status; return the status."""
        path = self.path(MODELS, PLURAL, name)
        found = self.kube.wait(
            path, lambda model: model and holds(model.get("status", {})), seconds, what
        )
        status: Object = found["status"]
        return status

    def wait_gone(self, api: str, plural: str, name: str, seconds: float = 60) -> None:
        """Wait until an object is gone."""
        self.kube.wait(self.path(api, plural, name), lambda found: found is None, seconds, "gone")

    def children(self, api: str, plural: str, name: str) -> list[Object]:
        """Return the objects of a kind that carry a model's label."""
        uid = self.get(name)["metadata"]["uid"]
        return self.kube.items(self.path(api, plural), f"{MODEL_UID_LABEL}={uid}")

    def jobs(self, name: str, step: str = "") -> list[Object]:
        """Return a model's Jobs, all or those of one step."""
        found = self.children(BATCH, "jobs", name)
        return [job for job in found if step in {"", job["metadata"]["labels"][STEP_LABEL]}]

    def deployments(self, name: str) -> list[Object]:
        """Return a model's Deployments."""
        return self.children(APPS, "deployments", name)

    def claims(self, name: str) -> list[Object]:
        """Return a model's volumes."""
        return self.children(CORE, "persistentvolumeclaims", name)

    def pods(self, name: str, step: str = "server") -> list[Object]:
        """Return a model's pods of one step, or its servers."""
        found = self.children(CORE, "pods", name)
        key = STEP_LABEL if step != "server" else REVISION_LABEL
        wanted = [pod for pod in found if key in pod["metadata"]["labels"]]
        if step == "server":
            return [pod for pod in wanted if STEP_LABEL not in pod["metadata"]["labels"]]
        return [pod for pod in wanted if pod["metadata"]["labels"][STEP_LABEL] == step]

    def wait_one_server(self, name: str, seconds: float = 180) -> None:
        """Wait until the servers of former settings are gone and one is left, which is ready."""

        def is_alone() -> bool:
            found = self.pods(name)
            return len(found) == 1 and is_ready(found[0])

        wait_until(f"{name} has one server, which is ready", is_alone, seconds, PAUSE_SECONDS)

    def events(self, name: str) -> list[Object]:
        """Return the events of a model."""
        found = self.kube.items(self.path(CORE, "events"))
        return [event for event in found if event["involvedObject"]["name"] == name]

    def told(self, name: str, expected: set[str], seconds: float = 15) -> list[str]:
        """Return the reasons of a model's events once they hold what is expected.

        Events follow the status. That a pod waits for its turn on a small node is left out.
        """

        def reasons() -> list[str]:
            found = sorted(event["reason"] for event in self.events(name))
            return [reason for reason in found if reason != "Unschedulable"]

        wait_until(
            f"the events of {name} have {', '.join(sorted(expected))}",
            lambda: expected <= set(reasons()),
            seconds,
            PAUSE_SECONDS,
        )
        return reasons()

    def look_again(self, *names: str) -> None:
        """Have the operator pass over models twice more, for edits that ask for nothing.

        What a pass tells follows its status: with the status of the second, all is told that the
        first could tell once more.
        """
        for replicas in (1, None):
            for name in names:
                self.edit(name, serving={"replicas": replicas})
            for name in names:
                self.kube.wait(
                    self.path(MODELS, PLURAL, name),
                    lambda model: condition(model, "Ready")["status"],
                    PASS_SECONDS,
                    "looked at again",
                )

    def chat(self, name: str, question: str = QUESTION, **more: Any) -> str:
        """Ask a model through its Service; return its answer."""
        service = self.path(CORE, "services", f"{child_name(name)}:http")
        body = {
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": 24,
            **more,
        }
        answer = self.kube.call("POST", f"{service}/proxy/v1/chat/completions", body)
        content: str = answer["choices"][0]["message"]["content"]
        return content

    def prompt(self, name: str, question: str = QUESTION) -> str:
        """Return what vLLM makes of a question before the model sees it."""
        service = self.path(CORE, "services", f"{child_name(name)}:http")
        body = {"messages": [{"role": "user", "content": question}]}
        tokens = self.kube.call("POST", f"{service}/proxy/tokenize", body)["tokens"]
        found: str = self.kube.call("POST", f"{service}/proxy/detokenize", {"tokens": tokens})[
            "prompt"
        ]
        return found

    def complete(self, name: str, seconds: float = 600, **asked: Any) -> Object:
        """Have a prompt continued, by the OpenAI API of either engine; return the answer."""
        service = self.path(CORE, "services", f"{child_name(name)}:http")
        found: Object = self.kube.call(
            "POST", f"{service}/proxy/v1/completions", asked, seconds=seconds
        )
        return found

    def log_probabilities(self, name: str, passages: Sequence[str]) -> list[float]:
        """Return those of every token but each passage's first, by the model that is served."""
        answer = self.complete(name, prompt=list(passages), max_tokens=1, echo=True, logprobs=1)
        choices = sorted(answer["choices"], key=itemgetter("index"))
        return [value for one in choices for value in one["logprobs"]["token_logprobs"][1:-1]]


def condition(model: Object | None, kind: str) -> Object:
    """Return a condition if it speaks of the present spec, else one that says nothing."""
    nothing = {"status": "", "reason": "", "message": ""}
    if model is None:
        return nothing
    generation = model["metadata"]["generation"]
    found = model.get("status", {}).get("conditions", [])
    return next(
        (c for c in found if c["type"] == kind and c["observedGeneration"] == generation), nothing
    )


def container_of(pod: Object, name: str) -> Object | None:
    """Return what a pod's status says of a container."""
    states = pod["status"].get("containerStatuses", [])
    return next((state for state in states if state["name"] == name), None)


def is_ready(pod: Object) -> bool:
    """Tell whether a pod answers."""
    found = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in found)


def attempts(jobs: list[Object]) -> list[tuple[str, int]]:
    """Return step and attempt of Jobs, in order."""
    labels = [job["metadata"]["labels"] for job in jobs]
    return sorted((each[STEP_LABEL], int(each[ATTEMPT_LABEL])) for each in labels)


def step_status(status: Object, name: str) -> Object:
    """Return what status holds of one step's attempts."""
    found = next((s for s in status.get("steps", []) if s["name"] == name), None)
    assert found is not None, json.dumps(status)
    return found


def fresh_name(prefix: str) -> str:
    """Return a name that nothing has yet."""
    return f"{prefix}-{uuid.uuid4().hex[:6]}"
