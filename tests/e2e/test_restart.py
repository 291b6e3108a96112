"""The operator is killed with SIGKILL at every stage: nothing is lost, nothing is done twice."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.operator_process import OperatorProcess
from cluster.commands import wait_until
from demo import story
from demo.commands import Commands
from e2e.install import image_variables, install_operator
from e2e.kube import Kube, Object
from e2e.models import (
    APPS,
    BATCH,
    CORE,
    TINY,
    VERDICT_SECONDS,
    Models,
    attempts,
    condition,
    from_hub,
    spec,
)
from qmodel.naming import MODEL_UID_LABEL, STEP_LABEL

HEALTH_PORT = 18097
NAME = "survivor"
ONCE = [("fetch", 1), ("inspect", 1), ("measure", 1), ("quantize", 1)]
STEP_IS_MADE = ("inspect", "fetch", "quantize", "measure")
"""Killed as soon as the Job of each of these exists, when status may not tell of it yet."""
IS_SETTLED = ("Inspected", "Fetched", "Quantized", "Measured")
"""Killed as soon as each of these is True, when the next child may not be made yet."""


@pytest.fixture(scope="module")
def process(
    models: Models,
    kubeconfig: Path,
    references: dict[str, str],
    endpoint: str,
    commands: Commands,
) -> Iterator[OperatorProcess]:
    """Take the installed operator's place; give it back at the end."""
    _scale_operator(models.kube, 0)
    variables = {
        "KUBECONFIG": str(kubeconfig),
        "HF_ENDPOINT": endpoint,
        **image_variables(references),
    }
    found = OperatorProcess(port=HEALTH_PORT, environment=variables)
    yield found
    found.kill(signal.SIGKILL)
    _scale_operator(models.kube, 1)
    install_operator(commands, references, endpoint)


def _scale_operator(kube: Kube, replicas: int) -> None:
    path = f"{APPS}/namespaces/{story.OPERATOR_NAMESPACE}/deployments/{story.RELEASE}"
    kube.merge(f"{path}/scale", {"spec": {"replicas": replicas}})
    kube.wait(
        path,
        lambda found: found and found["status"].get("replicas", 0) == replicas,
        60,
        f"scaled to {replicas}",
    )


def test_killed_at_every_stage_it_does_each_step_once(
    models: Models, process: OperatorProcess
) -> None:
    made: dict[str, str] = {}
    process.spawn()
    models.apply(NAME, spec(from_hub(TINY)))
    for step, kind in zip(STEP_IS_MADE, IS_SETTLED, strict=True):
        _until(lambda step=step: _note(models, made) and step in made.values(), step)
        _kill_and_start(process)
        _until(lambda kind=kind: _is_true(models, kind), kind)
        _kill_and_start(process)
        _note(models, made)
    _until(lambda: models.deployments(NAME), "a Deployment")
    _kill_and_start(process)
    status = models.wait_ready(NAME)
    _note(models, made)
    assert sorted(made.values()) == sorted(STEP_IS_MADE)
    assert attempts(models.jobs(NAME)) == ONCE
    assert {step["attempts"] for step in status["steps"]} == {1}
    assert len(models.deployments(NAME)) == 1
    assert len(models.claims(NAME)) == 1


def test_what_happened_while_it_was_dead_is_seen(models: Models, process: OperatorProcess) -> None:
    before = models.wait_ready(NAME)
    process.kill(signal.SIGKILL)
    (deployment,) = models.deployments(NAME)
    models.kube.delete(models.path(APPS, "deployments", deployment["metadata"]["name"]))
    models.edit(NAME, serving={"replicas": 2})
    process.spawn()
    after = models.wait_ready(NAME)
    assert after["artifact"] == before["artifact"]
    (deployment,) = models.deployments(NAME)
    assert deployment["status"]["readyReplicas"] == 2
    assert attempts(models.jobs(NAME)) == ONCE


def test_a_model_that_was_deleted_meanwhile_leaves_nothing(
    models: Models, process: OperatorProcess
) -> None:
    uid = models.get(NAME)["metadata"]["uid"]
    process.kill(signal.SIGKILL)
    models.delete(NAME)
    process.spawn()
    selector = f"{MODEL_UID_LABEL}={uid}"
    kinds = [(BATCH, "jobs"), (APPS, "deployments"), (CORE, "services")]
    _until(
        lambda: not any(models.kube.items(models.path(*kind), selector) for kind in kinds),
        "nothing left",
    )


def _kill_and_start(process: OperatorProcess) -> None:
    process.kill(signal.SIGKILL)
    process.spawn()


def _note(models: Models, made: dict[str, str]) -> bool:
    """Keep each Job that was ever seen, by its identity."""
    for job in models.jobs(NAME):
        labels: Object = job["metadata"]["labels"]
        made[job["metadata"]["uid"]] = labels[STEP_LABEL]
    return True


def _is_true(models: Models, kind: str) -> bool:
    return bool(condition(models.get(NAME), kind)["status"] == "True")


def _until(holds: Callable[[], object], what: str) -> None:
    """Look closely, since what is waited for lasts only moments."""
    wait_until(what, holds, VERDICT_SECONDS)
