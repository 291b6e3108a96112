"""One attempt at a step: a Job that runs once and leaves trying again to the planner."""

from qmodel.api.resource import QuantizedModel
from qmodel.api.texts import TextSource
from qmodel.naming import (
    ATTEMPT_LABEL,
    EVALUATION_ANNOTATION,
    KEY_LABEL,
    MODEL_ANNOTATION,
    POD_ANNOTATION,
    RESULT_ANNOTATION,
    REVISION_LABEL,
    STEP_LABEL,
)
from qmodel.planner.installation import ConfigMapFile
from qmodel.planner.wishes import SecretFiles, SourceAccess, WantContainer, WantJob
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
from qmodel.resources.types import Container, Job, KeyToPath, Labels, PodSpec, Volume, VolumeMount
from qmodel.worker.task import (
    ARTIFACTS,
    CA_BUNDLE_FILE,
    CALIBRATION_FILE,
    CREDENTIALS,
    EVALUATION_FILE,
    SOURCE_VOLUME,
)

Mounted = tuple[Volume, VolumeMount]


def build(model: QuantizedModel, want: WantJob, version: str) -> Job:
    """Return the Job of one attempt."""
    labels = _labels(model, want)
    meta = object_meta(model, want, labels, version)
    meta["annotations"] |= _keys(want)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta,
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": want.timeout_seconds,
            "podReplacementPolicy": "Failed",
            "template": {
                "metadata": {"labels": labels, "annotations": {MODEL_ANNOTATION: model.name}},
                "spec": _pod(model, want),
            },
        },
    }


def _labels(model: QuantizedModel, want: WantJob) -> Labels:
    """Return the labels that tell which attempt at what this is."""
    labels = child_labels(model, want.step.value)
    labels |= {STEP_LABEL: want.step.value, KEY_LABEL: want.key, ATTEMPT_LABEL: str(want.attempt)}
    return labels | ({REVISION_LABEL: want.revision} if want.revision else {})


def _keys(want: WantJob) -> dict[str, str]:
    """Return the annotations that tell what comes out of this Job, and what its pod is."""
    found = {
        RESULT_ANNOTATION: want.result_key,
        EVALUATION_ANNOTATION: want.evaluation_key,
        POD_ANNOTATION: want.pod_key,
    }
    return {name: key for name, key in found.items() if key}


def _pod(model: QuantizedModel, want: WantJob) -> PodSpec:
    """Return the pod: all containers but the last run first, one after another."""
    mounted = _mounted(want)
    mounts = [mount for _, mount in mounted]
    containers = [_container(want, each, mounts) for each in want.containers]
    spec = pod_spec(
        containers=containers[-1:],
        init_containers=containers[:-1],
        volumes=[volume for volume, _ in mounted],
        node_selector=want.node_selector,
        tolerations=want.tolerations,
    )
    spec["restartPolicy"] = "Never"
    if want.pod_template is not None:
        add_wanted(spec, want.pod_template)
    if want.claim_name is not None and want.on_one_node:
        stay_together(spec, model.uid)
    return spec


def _container(want: WantJob, each: WantContainer, mounts: list[VolumeMount]) -> Container:
    """Return one container; its task is an argument, read by no shell."""
    asked = resources(each.memory_bytes, each.cpu, want.accelerators)
    built = container(each.name.value, each.image, asked, mounts)
    task = each.task.model_dump_json(by_alias=True, exclude_none=True)
    built["command"] = ["python", "-m", "qmodel.worker"]
    built["args"] = ["--task", task]
    given = want.engine_env if want.source is None else {**want.engine_env, **want.source.env}
    if variables := environment(given, want.env):
        built["env"] = variables
    return built


def _mounted(want: WantJob) -> list[Mounted]:
    """Return the volumes that this step needs, and where its containers see them."""
    found: list[Mounted] = []
    if want.claim_name is not None:
        volume = claim_volume(ARTIFACTS_VOLUME, want.claim_name, read_only=False)
        found.append((volume, {"name": ARTIFACTS_VOLUME, "mountPath": ARTIFACTS}))
    if want.source is not None:
        found += _source(want.source)
    if want.calibration is not None:
        found.append(_text("calibration", want.calibration, CALIBRATION_FILE))
    if want.evaluation is not None:
        found.append(_text("evaluation", want.evaluation, EVALUATION_FILE))
    found += shared_memory(want.shared_memory_bytes)
    return found


def _source(source: SourceAccess) -> list[Mounted]:
    """Return what a step needs to read the source."""
    found: list[Mounted] = []
    if source.claim is not None:
        volume = claim_volume("source", source.claim, read_only=True)
        found.append((volume, {"name": "source", "mountPath": SOURCE_VOLUME, "readOnly": True}))
    if source.credentials is not None:
        found.append(_credentials(source.credentials))
    if source.ca_bundle is not None:
        found.append(_certificates(source.ca_bundle))
    return found


def _credentials(wanted: SecretFiles) -> Mounted:
    """Return credentials; without their Secret the step starts, and says what is missing."""
    volume: Volume = {
        "name": "credentials",
        "secret": {
            "secretName": wanted.secret,
            "items": [{"key": key, "path": file} for key, file in wanted.files.items()],
            "defaultMode": 0o440,
            "optional": True,
        },
    }
    return volume, {"name": "credentials", "mountPath": CREDENTIALS, "readOnly": True}


def _certificates(wanted: ConfigMapFile) -> Mounted:
    """Return trusted certificates; without them the step starts, and says what is missing."""
    folder, _, file = CA_BUNDLE_FILE.rpartition("/")
    item: KeyToPath = {"key": wanted.key, "path": file}
    volume: Volume = {
        "name": "certificates",
        "configMap": {"name": wanted.config_map, "items": [item], "optional": True},
    }
    return volume, {"name": "certificates", "mountPath": folder, "readOnly": True}


def _text(name: str, text: TextSource, path: str) -> Mounted:
    """Return a text of the user; without it the step starts, and says what is missing."""
    folder, _, file = path.rpartition("/")
    if text.config_map_ref is not None:
        reference = text.config_map_ref
        item: KeyToPath = {"key": reference.key, "path": file}
        volume: Volume = {
            "name": name,
            "configMap": {"name": reference.name, "items": [item], "optional": True},
        }
        return volume, {"name": name, "mountPath": folder, "readOnly": True}
    claim = text.persistent_volume_claim
    if claim is None:
        message = "a text is a key of a ConfigMap or a file of a claim"
        raise ValueError(message)
    volume = claim_volume(name, claim.claim_name, read_only=True)
    return volume, {"name": name, "mountPath": path, "readOnly": True, "subPath": claim.path}
