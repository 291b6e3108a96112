import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from browser import samples
from qmodel.api.resource import QuantizedModel
from qmodel.api.status import Rollout
from qmodel.cli import pages, volume
from qmodel.cli.artifact import unpack
from qmodel.cli.errors import AccessError
from qmodel.worker import show
from qmodel.worker.details import DETAILS
from qmodel.worker.parameters import PARAMETERS
from qmodel.worker.provenance import PROVENANCE
from unit.cli.models import ScriptedAccess


def rolled_out() -> QuantizedModel:
    """The sample, as it serves on a node that others keep away from."""
    model = samples.q8().model
    rollout = Rollout.model_validate(
        {
            "revision": "1c25ad637f",
            "image": "example/server:1",
            "engine": "LlamaCpp",
            "claimName": "models",
            "argv": ["server"],
            "sizing": model.status.sizing,
            "accelerator": {"key": "k", "type": "CPU", "reason": "r"},
            "podTemplate": {
                "nodeSelector": {"disk": "fast"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "imagePullSecrets": [{"name": "registry"}],
            },
            "startupSeconds": 60,
        }
    )
    available = {"type": "Available", "status": "True", "reason": "Serving", "message": ""}
    condition = type(model.status.conditions[0]).model_validate(
        {**available, "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    )
    changes = {"rollout": rollout, "replicas": 1, "conditions": [condition]}
    return model.model_copy(update={"status": model.status.model_copy(update=changes)})


def test_the_pod_is_restricted_and_reads_the_artifact() -> None:
    spec = volume.pod(rolled_out())["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["activeDeadlineSeconds"] == volume.DEADLINE_SECONDS
    assert spec["restartPolicy"] == "Never"
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["image"] == "example/server:1"
    command = ["python", "-m", "qmodel.worker.show", "/artifacts/1c25ad637f"]
    assert container["command"] == command
    assert container["volumeMounts"][0] == {
        "name": "artifacts",
        "mountPath": "/artifacts",
        "readOnly": True,
    }


def test_the_pod_goes_where_the_volume_is() -> None:
    spec = volume.pod(rolled_out())["spec"]
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "models"}
    assert spec["nodeSelector"] == {"disk": "fast"}
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    (term,) = spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchLabels"] == {"qmodel.dev/model-uid": "uid-1"}
    assert term["topologyKey"] == "kubernetes.io/hostname"


def test_before_anything_serves_a_steps_image_reads_the_models_own_volume() -> None:
    spec = volume.pod(samples.q8().model)["spec"]
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "smollm2-q8-volume"}
    assert spec["containers"][0]["image"] == "example/worker:1"
    assert "podAffinity" in spec["affinity"]


def test_the_pod_goes_with_its_model_and_is_no_step_of_it() -> None:
    metadata = volume.pod(rolled_out())["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("QuantizedModel", "uid-1")
    assert "qmodel.dev/step" not in metadata["labels"]
    assert metadata["labels"]["app.kubernetes.io/component"] == "report"


def test_without_an_artifact_there_is_nothing_to_read() -> None:
    model = samples.q8().model
    bare = model.model_copy(update={"status": model.status.model_copy(update={"artifact": None})})
    with pytest.raises(AccessError, match="no artifact yet"):
        volume.pod(bare)


def test_what_the_pod_prints_is_what_lies_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = samples.nf4().files
    assert sample.details is not None
    (tmp_path / "details.json").write_text(sample.details.model_dump_json(by_alias=True))
    (tmp_path / "parameters.json").write_text(sample.listed.model_dump_json(by_alias=True))
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 9)
    assert show.main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert len(printed) < 40_000
    assert unpack(f"a line of something else\n{printed}") == sample


def test_an_artifact_without_these_files_shows_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show.main([str(tmp_path)]) == 0
    files = unpack(capsys.readouterr().out)
    assert (files.details, files.parameters) == (None, [])


def test_a_file_that_no_person_reads_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "provenance.json").write_text("{}")
    (tmp_path / "parameters.json").write_text("[" + " " * 100 + "]")
    monkeypatch.setattr(show, "MAX_FILE_BYTES", 50)
    assert show.read(tmp_path) == {"provenance.json": {}}


def test_the_files_are_those_that_the_steps_write() -> None:
    assert show.NAMES == (DETAILS, PARAMETERS, PROVENANCE)


def test_a_folder_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show.main([str(tmp_path / "gone")]) == 1
    assert "there is no artifact at" in capsys.readouterr().err


def packed(content: bytes) -> str:
    return json.dumps({"files": base64.b64encode(content).decode()})


@pytest.mark.parametrize(
    "log",
    [
        "",
        "Traceback",
        '{"files": 3}',
        '{"files": "no base64!"}',
        packed(b"not zlib"),
        packed(zlib.compress(b"{")),
        packed(zlib.compress(b"[1]")),
        packed(zlib.compress(b'{"details.json": {"answers": 1}}')),
    ],
)
def test_a_log_of_anything_else_is_refused(log: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(log)


class Core:
    """The calls that reading a volume makes of an API server; it fakes no more than them."""

    def __init__(self, log: str, *, refuse: bool = False) -> None:
        self.log, self.refuse = log, refuse
        self.deleted: list[str] = []

    def create_namespaced_pod(self, _namespace: str, body: Any) -> Any:
        if self.refuse:
            raise ApiException(status=403, body=json.dumps({"message": "user cannot create pods"}))
        name = body["metadata"]["generateName"] + "x"
        return type("Pod", (), {"metadata": type("Meta", (), {"name": name})})

    def list_namespaced_pod(self) -> None:
        """Is only handed to a watch, which the tests replace."""

    def read_namespaced_pod_log(self, _name: str, _namespace: str, **_: Any) -> str:
        return self.log

    def delete_namespaced_pod(self, name: str, _namespace: str, **_: Any) -> None:
        self.deleted.append(name)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "_await_end", lambda *_: None)


@pytest.mark.usefixtures("ended")
def test_the_pod_is_deleted_once_it_was_read() -> None:
    core = Core(packed(zlib.compress(b"{}")))
    assert volume.read(core, samples.q8().model).details is None  # type: ignore[arg-type]
    assert core.deleted == ["smollm2-q8-report-x"]


@pytest.mark.usefixtures("ended")
def test_the_pod_is_deleted_whatever_it_printed() -> None:
    core = Core("Traceback")
    with pytest.raises(AccessError, match="reading the volume of smollm2-q8"):
        volume.read(core, samples.q8().model)  # type: ignore[arg-type]
    assert core.deleted == ["smollm2-q8-report-x"]


def event(phase: str, kind: str = "MODIFIED", **status: Any) -> dict[str, Any]:
    """What a watch of the pod tells."""
    seen = client.V1PodStatus(phase=phase, **status)
    return {"type": kind, "object": client.V1Pod(status=seen)}


PULLING = client.V1ContainerStatus.model_construct(
    state=client.V1ContainerState(
        waiting=client.V1ContainerStateWaiting(reason="ErrImagePull", message="no such image")
    )
)
UNPLACED = client.V1PodCondition(
    type="PodScheduled", status="False", message="0/1 nodes are available"
)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([event("Pending"), event("Failed")], "failed: python: No module named show"),
        ([event("Pending"), event("Running", "DELETED")], "failed: python: No module"),
        ([event("Pending", container_statuses=[PULLING])], "ErrImagePull: no such image"),
        ([event("Pending", conditions=[UNPLACED])], "0/1 nodes are available"),
        ([], "did not end within 120 s"),
    ],
)
def test_a_pod_that_does_not_get_to_read_is_told_and_deleted(
    monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]], words: str
) -> None:
    monkeypatch.setattr(volume.Watch, "stream", lambda *_, **__: iter(events))
    core = Core("python: No module named show")
    with pytest.raises(AccessError, match=words):
        volume.read(core, samples.q8().model)  # type: ignore[arg-type]
    assert core.deleted == ["smollm2-q8-report-x"]


def test_a_pod_that_succeeded_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [event("Pending"), event("Running"), event("Succeeded")]
    monkeypatch.setattr(volume.Watch, "stream", lambda *_, **__: iter(events))
    core = Core(packed(zlib.compress(b"{}")))
    assert volume.read(core, samples.q8().model).parameters == []  # type: ignore[arg-type]


@pytest.mark.usefixtures("ended")
@pytest.mark.parametrize(("status", "told"), [(404, False), (403, True)])
def test_a_pod_that_is_left_is_said(status: int, *, told: bool) -> None:
    class Keeping(Core):
        def delete_namespaced_pod(self, name: str, namespace: str, **_: Any) -> None:
            message = f"{namespace}/{name}: no"
            raise ApiException(status=status, body=json.dumps({"message": message}))

    core = Keeping(packed(zlib.compress(b"{}")))
    if told:
        with pytest.raises(AccessError, match=r"which is left: demo/smoll.*: no"):
            volume.read(core, samples.q8().model)  # type: ignore[arg-type]
    else:
        assert volume.read(core, samples.q8().model).parameters == []  # type: ignore[arg-type]


def test_whoever_may_not_create_pods_gets_a_page_that_says_so() -> None:
    class Refusing(ScriptedAccess):
        def files(self, model: QuantizedModel) -> Any:
            return volume.read(Core("", refuse=True), model)  # type: ignore[arg-type]

    model = samples.q8().model
    subject = pages.subject(Refusing([model]), model, volume=True)
    assert subject.trouble is not None
    assert "user cannot create pods" in subject.trouble
    page = pages.report(subject)
    assert "user cannot create pods" in page
    assert "Answers side by side" not in page
    assert "270 MiB" in page
