"""The servers of one revision."""

from qmodel.api.resource import QuantizedModel
from qmodel.api.status import Rollout
from qmodel.engines import ENGINES, ServingEngine
from qmodel.naming import (
    HTTP_PORT_NAME,
    MODEL_ANNOTATION,
    MODEL_UID_LABEL,
    REVISION_LABEL,
    SERVER_LABELS,
)
from qmodel.planner.accelerator import accelerators
from qmodel.planner.containers import SERVER_CONTAINER, VERIFY_CONTAINER
from qmodel.planner.wishes import WantDeployment
from qmodel.resources import types
from qmodel.resources.metadata import child_labels, object_meta
from qmodel.resources.pod import (
    ARTIFACTS_VOLUME,
    add_wanted,
    claim_volume,
    container,
    environment,
    pod_spec,
    resources,
    shared_memory,
    stay_together,
)
from qmodel.resources.types import Container, Deployment, Labels, PodSpec, Probe, VolumeMount
from qmodel.worker.task import ARTIFACTS, artifact_directory

VERIFY_BYTES = 128 * 2**20
"""Python and a read buffer."""
VERIFY_CPU = "100m"
STARTUP_PERIOD_SECONDS = 2
SCHEDULING_SECONDS = 600
"""Time beyond starting up that a rollout may take: pulling the image, attaching the volume."""
_ARTIFACTS_MOUNT: VolumeMount = {
    "name": ARTIFACTS_VOLUME,
    "mountPath": ARTIFACTS,
    "readOnly": True,
}


def build(model: QuantizedModel, want: WantDeployment, version: str) -> Deployment:
    """Return the Deployment; new servers answer before old ones go."""
    rollout = want.rollout
    labels = child_labels(model, "server") | {REVISION_LABEL: rollout.revision}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": object_meta(model, want, labels, version),
        "spec": {
            "replicas": want.replicas,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": rollout.startup_seconds + SCHEDULING_SECONDS,
            "selector": {"matchLabels": server_labels(model, rollout.revision)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "template": _template(model, rollout, labels),
        },
    }


def server_labels(model: QuantizedModel, revision: str) -> Labels:
    """Return the labels that select the servers of a revision."""
    return {MODEL_UID_LABEL: model.uid, REVISION_LABEL: revision, **SERVER_LABELS}


def _template(model: QuantizedModel, rollout: Rollout, labels: Labels) -> types.PodTemplate:
    """Return the pod template; what the user adds never replaces what we rely on."""
    wanted = rollout.pod_template
    return {
        "metadata": {
            "labels": {**(wanted.labels or {}), **labels},
            "annotations": {**(wanted.annotations or {}), MODEL_ANNOTATION: model.name},
        },
        "spec": _pod(model, rollout),
    }


def _pod(model: QuantizedModel, rollout: Rollout) -> PodSpec:
    """Return the pod: the artifact is verified before the server reads a byte of it."""
    wanted = rollout.pod_template
    engine = ENGINES[rollout.engine]
    spec = pod_spec(
        containers=[_server(rollout)],
        init_containers=[_verify(rollout)],
        volumes=[
            claim_volume(ARTIFACTS_VOLUME, rollout.claim_name, read_only=False),
            *(volume for volume, _ in shared_memory(engine.shared_memory_bytes)),
        ],
        node_selector=wanted.node_selector or {},
        tolerations=wanted.tolerations or (),
    )
    spec["terminationGracePeriodSeconds"] = engine.grace_seconds
    add_wanted(spec, wanted)
    if rollout.on_one_node:
        stay_together(spec, model.uid)
    return spec


def _verify(rollout: Rollout) -> Container:
    """Return the container that compares the artifact with its manifest."""
    asked = resources(VERIFY_BYTES, VERIFY_CPU)
    built = container(VERIFY_CONTAINER, rollout.image, asked, [_ARTIFACTS_MOUNT])
    directory = artifact_directory(rollout.revision)
    built["command"] = ["python", "-m", "qmodel.worker.verify", directory]
    return built


def _server(rollout: Rollout) -> Container:
    """Return the server, as it was measured."""
    sizing, engine = rollout.sizing, ENGINES[rollout.engine]
    asked = resources(sizing.memory_bytes, sizing.cpu, accelerators(rollout.accelerator))
    mounts = [_ARTIFACTS_MOUNT, *(mount for _, mount in shared_memory(engine.shared_memory_bytes))]
    built = container(SERVER_CONTAINER, rollout.image, asked, mounts)
    built["command"] = rollout.argv
    built["env"] = environment(rollout.engine_env, rollout.env)
    built["ports"] = [{"name": HTTP_PORT_NAME, "containerPort": engine.port}]
    startup_failures = -(-rollout.startup_seconds // STARTUP_PERIOD_SECONDS)
    built["startupProbe"] = _probe(engine, STARTUP_PERIOD_SECONDS, startup_failures)
    built["readinessProbe"] = _probe(engine, period_seconds=5, failures=3)
    built["livenessProbe"] = _probe(engine, period_seconds=10, failures=6)
    built["lifecycle"] = {"preStop": {"exec": {"command": _drain_argv(engine)}}}
    return built


def _drain_argv(engine: ServingEngine) -> list[str]:
    """Return the command that waits for the requests that have begun."""
    seconds = engine.grace_seconds - engine.exit_seconds
    return ["python", "-m", "qmodel.worker.drain", str(engine.port), str(seconds)]


def _probe(engine: ServingEngine, period_seconds: int, failures: int) -> Probe:
    """Return a probe that asks whether the server is healthy."""
    return {
        "httpGet": {"path": engine.health_path, "port": HTTP_PORT_NAME},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
