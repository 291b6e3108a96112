"""What every pod of ours has in common: the restricted Pod Security Standard, and no token."""

from collections.abc import Iterable, Mapping

from qmodel.api.placement import NodeSelector, Toleration
from qmodel.api.quantities import quantity_mib
from qmodel.api.serving import EnvVar, PodTemplate
from qmodel.naming import COMPONENT_LABEL, MODEL_UID_LABEL
from qmodel.planner.containers import Step
from qmodel.planner.wishes import Accelerators
from qmodel.resources import types
from qmodel.resources.types import Container, PodSpec, Resources, Volume, VolumeMount

USER_ID = 65532
"""The images' user, and the group that owns the volume's files."""
SCRATCH = "/tmp"  # noqa: S108  the pod's own, and all that it may write besides the volume
SCRATCH_VOLUME: Volume = {"name": "tmp", "emptyDir": {}}
SCRATCH_MOUNT: VolumeMount = {"name": "tmp", "mountPath": SCRATCH}
ARTIFACTS_VOLUME = "artifacts"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def pod_spec(
    *,
    containers: list[Container],
    init_containers: list[Container],
    volumes: list[Volume],
    node_selector: NodeSelector,
    tolerations: Iterable[Toleration],
) -> PodSpec:
    """Return a pod without privileges, service-account token or service variables.

    Service variables are left out because a Service whose name begins with `llama-arg-` would set
    flags of the server.
    """
    spec: PodSpec = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": containers,
        "volumes": [*volumes, SCRATCH_VOLUME],
    }
    if init_containers:
        spec["initContainers"] = init_containers
    if node_selector:
        spec["nodeSelector"] = node_selector
    tolerated = [toleration.to_wire() for toleration in tolerations]
    if tolerated:
        spec["tolerations"] = tolerated
    return spec


def add_wanted(spec: PodSpec, wanted: PodTemplate) -> None:
    """Add what the user asks of the pods besides their place."""
    if wanted.affinity is not None:
        spec["affinity"] = wanted.affinity.to_wire()
    if wanted.priority_class_name:
        spec["priorityClassName"] = wanted.priority_class_name
    if wanted.runtime_class_name:
        spec["runtimeClassName"] = wanted.runtime_class_name
    if wanted.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": each.name} for each in wanted.image_pull_secrets]


def stay_together(spec: PodSpec, model_uid: str) -> None:
    """Put a pod on the node of the model's other pods: a ReadWriteOnce volume is attached there.

    Nobody else would: the scheduler does not look at where a volume is attached, and a pod on
    another node waits for it without end. The first pod matches itself, so it may go anywhere;
    inspecting mounts nothing. What the user asks for stays.
    """
    affinity = spec.get("affinity", {})
    asked = affinity.get("podAffinity", {})
    term = {
        "labelSelector": {
            "matchLabels": {MODEL_UID_LABEL: model_uid},
            "matchExpressions": [
                {"key": COMPONENT_LABEL, "operator": "NotIn", "values": [Step.INSPECT.value]}
            ],
        },
        "topologyKey": "kubernetes.io/hostname",
    }
    spec["affinity"] = {
        **affinity,
        "podAffinity": {**asked, _REQUIRED: [*asked.get(_REQUIRED, ()), term]},
    }


def container(
    name: str, image: str, resources: Resources, mounts: Iterable[VolumeMount]
) -> Container:
    """Return a container without privileges; its last log lines tell why it failed."""
    return {
        "name": name,
        "image": image,
        "resources": resources,
        "volumeMounts": [*mounts, SCRATCH_MOUNT],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def resources(memory_bytes: int, cpu: str, accelerators: Accelerators | None = None) -> Resources:
    """Return requests and limits.

    Memory is reserved in full, so that no neighbour's growth gets the pod killed; idle CPU is not
    taken from anybody, so it has no limit.
    """
    memory = quantity_mib(memory_bytes)
    devices = {} if accelerators is None else {accelerators.resource_name: str(accelerators.count)}
    return {
        "requests": {"cpu": cpu, "memory": memory, **devices},
        "limits": {"memory": memory, **devices},
    }


def environment(engine_env: Mapping[str, str], variables: Iterable[EnvVar]) -> list[types.EnvVar]:
    """Return the engine's variables by name, and the user's, which never replace them.

    A status comes back from the API server with its names in order: another order of the same
    variables would be another template, and restart the servers.
    """
    own = [types.EnvVar(name=name, value=value) for name, value in sorted(engine_env.items())]
    return own + [
        {"name": variable.name, "value": variable.value}
        for variable in variables
        if variable.name not in engine_env
    ]


def shared_memory(size_bytes: int) -> list[tuple[Volume, VolumeMount]]:
    """Return /dev/shm of that size, where one is needed: the runtime's own has 64 MiB."""
    if size_bytes == 0:
        return []
    volume: Volume = {
        "name": "shm",
        "emptyDir": {"medium": "Memory", "sizeLimit": quantity_mib(size_bytes)},
    }
    return [(volume, {"name": "shm", "mountPath": "/dev/shm"})]  # noqa: S108  the kernel's own


def claim_volume(name: str, claim: str, *, read_only: bool) -> Volume:
    """Return a claim as a volume.

    A user's claim is read-only as a volume and not only where it is mounted: the kubelet would
    otherwise give its files to our group. Our own never is: a disk that one pod attaches read-only
    may refuse another that writes.
    """
    if read_only:
        return {"name": name, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
    return {"name": name, "persistentVolumeClaim": {"claimName": claim}}
