"""The fields of Kubernetes objects that the builders set, so that mypy catches a misspelt one.

Plain typed dictionaries, and not the models of the `kubernetes` package: importing those of one Job
takes 33 MiB and 0.8 s, and building them validates what the API server validates again. The
operator holds hundreds of models in less memory than that.
"""

from typing import Any, NotRequired, TypedDict

Labels = dict[str, str]


class OwnerReference(TypedDict):
    """The object that a child is deleted with."""

    apiVersion: str
    kind: str
    name: str
    uid: str
    controller: NotRequired[bool]


class ObjectMeta(TypedDict, total=False):
    """Metadata of an object or of a pod template."""

    name: str
    namespace: str
    labels: Labels
    annotations: dict[str, str]
    ownerReferences: list[OwnerReference]


class EnvVar(TypedDict):
    """An environment variable with a literal value."""

    name: str
    value: str


class VolumeMount(TypedDict):
    """Where a container sees a volume."""

    name: str
    mountPath: str
    readOnly: NotRequired[bool]
    subPath: NotRequired[str]


class KeyToPath(TypedDict):
    """A key of a Secret or ConfigMap as a file."""

    key: str
    path: str


class SecretVolume(TypedDict):
    """Files from a Secret."""

    secretName: str
    items: list[KeyToPath]
    defaultMode: int
    optional: bool


class ConfigMapVolume(TypedDict):
    """Files from a ConfigMap."""

    name: str
    items: list[KeyToPath]
    optional: bool


class ClaimVolume(TypedDict):
    """A PersistentVolumeClaim."""

    claimName: str
    readOnly: NotRequired[bool]


class Volume(TypedDict):
    """A volume of a pod; exactly one source is set."""

    name: str
    emptyDir: NotRequired[dict[str, str]]
    persistentVolumeClaim: NotRequired[ClaimVolume]
    secret: NotRequired[SecretVolume]
    configMap: NotRequired[ConfigMapVolume]


class Resources(TypedDict):
    """What a container asks for, and what it may not exceed."""

    requests: dict[str, str]
    limits: dict[str, str]


class HttpGet(TypedDict):
    """A request that a probe makes."""

    path: str
    port: str


class Probe(TypedDict):
    """How the kubelet asks a container how it is."""

    httpGet: HttpGet
    periodSeconds: int
    timeoutSeconds: int
    failureThreshold: int


class Exec(TypedDict):
    """A command that the kubelet runs in a container."""

    command: list[str]


class Handler(TypedDict):
    """What happens at a point of a container's life."""

    exec: Exec


class Lifecycle(TypedDict):
    """What happens before a container is stopped."""

    preStop: Handler


class ContainerPort(TypedDict):
    """A port that a container listens on."""

    name: str
    containerPort: int


class Capabilities(TypedDict):
    """Linux capabilities."""

    drop: list[str]


class SecurityContext(TypedDict):
    """What a container may do."""

    allowPrivilegeEscalation: bool
    readOnlyRootFilesystem: bool
    capabilities: Capabilities


class Container(TypedDict):
    """A container."""

    name: str
    image: str
    command: NotRequired[list[str]]
    args: NotRequired[list[str]]
    env: NotRequired[list[EnvVar]]
    ports: NotRequired[list[ContainerPort]]
    resources: Resources
    volumeMounts: list[VolumeMount]
    securityContext: SecurityContext
    terminationMessagePolicy: str
    startupProbe: NotRequired[Probe]
    readinessProbe: NotRequired[Probe]
    livenessProbe: NotRequired[Probe]
    lifecycle: NotRequired[Lifecycle]


class PodSecurityContext(TypedDict):
    """What all containers of a pod may do."""

    runAsNonRoot: bool
    runAsUser: int
    runAsGroup: int
    fsGroup: int
    fsGroupChangePolicy: str
    seccompProfile: dict[str, str]


class PodSpec(TypedDict):
    """A pod."""

    automountServiceAccountToken: bool
    enableServiceLinks: bool
    securityContext: PodSecurityContext
    initContainers: NotRequired[list[Container]]
    containers: list[Container]
    volumes: list[Volume]
    restartPolicy: NotRequired[str]
    terminationGracePeriodSeconds: NotRequired[int]
    nodeSelector: NotRequired[dict[str, str]]
    tolerations: NotRequired[list[dict[str, Any]]]
    affinity: NotRequired[dict[str, Any]]
    priorityClassName: NotRequired[str]
    runtimeClassName: NotRequired[str]
    imagePullSecrets: NotRequired[list[dict[str, str]]]


class PodTemplate(TypedDict):
    """What a Job or Deployment makes pods from."""

    metadata: ObjectMeta
    spec: PodSpec


class JobSpec(TypedDict):
    """One try at a step."""

    backoffLimit: int
    activeDeadlineSeconds: int
    podReplacementPolicy: str
    template: PodTemplate


class Job(TypedDict):
    """A batch/v1 Job."""

    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: JobSpec


class LabelSelector(TypedDict):
    """Labels that pods must have."""

    matchLabels: Labels


class RollingUpdate(TypedDict):
    """How many pods may be missing or too many."""

    maxUnavailable: int
    maxSurge: int


class Strategy(TypedDict):
    """How pods are replaced."""

    type: str
    rollingUpdate: RollingUpdate


class DeploymentSpec(TypedDict):
    """Servers of one revision."""

    replicas: int
    revisionHistoryLimit: int
    progressDeadlineSeconds: int
    selector: LabelSelector
    strategy: Strategy
    template: PodTemplate


class Deployment(TypedDict):
    """An apps/v1 Deployment."""

    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: DeploymentSpec


class ServicePort(TypedDict):
    """A port of a Service."""

    name: str
    port: int
    targetPort: str


class ServiceSpec(TypedDict):
    """One address for many pods."""

    type: str
    selector: Labels
    ports: list[ServicePort]


class Service(TypedDict):
    """A v1 Service."""

    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: ServiceSpec


class ClaimSpec(TypedDict):
    """A volume that is asked for."""

    accessModes: list[str]
    resources: dict[str, dict[str, str]]
    storageClassName: NotRequired[str]


class Claim(TypedDict):
    """A v1 PersistentVolumeClaim."""

    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: ClaimSpec
