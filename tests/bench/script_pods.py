"""Commands in pods like those of our Jobs, with a volume of sources and a folder of scripts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e import pods
from e2e.models import CORE, Models
from e2e.volumes import make_claim, seed
from qmodel.resources.pod import ARTIFACTS_VOLUME, claim_volume, container, pod_spec, resources
from qmodel.sizing.processors import LEAST_THREADS
from qmodel.worker.task import ARTIFACTS

SCRIPTS = "/scripts"
SECONDS = 3600
"""All that one pod does."""
MEMORY_BYTES = 4 << 30
_CLAIM = "volume"
_CONFIG_MAP = "scripts"
_FOLDER = Path(__file__).parent / "plain_scripts"


def prepare(models: Models, hub: str, sources: Mapping[str, str]) -> None:
    """Make the scripts and the volume; `sources` are repositories of the hub by their folder."""
    scripts = {path.name: path.read_text() for path in _FOLDER.glob("*.py")}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": scripts}
    models.kube.apply(models.path(CORE, "configmaps", _CONFIG_MAP), body)
    make_claim(models, _CLAIM, "6Gi")
    seed(models, hub, _CLAIM, dict(sources))


def run(models: Models, name: str, image: str, command: list[str]) -> str:
    """Run a command; return its log."""
    return pods.run(models, name, _spec(image, command), SECONDS)


def _spec(image: str, command: list[str]) -> Any:
    mounts: list[Any] = [
        {"name": ARTIFACTS_VOLUME, "mountPath": ARTIFACTS},
        {"name": _CONFIG_MAP, "mountPath": SCRIPTS},
    ]
    built = container("main", image, resources(MEMORY_BYTES, "1"), mounts)
    threads = [{"name": "OMP_NUM_THREADS", "value": str(LEAST_THREADS)}]
    spec = pod_spec(
        containers=[{**built, "command": command, "env": threads}],
        init_containers=[],
        volumes=[
            claim_volume(ARTIFACTS_VOLUME, _CLAIM, read_only=False),
            {"name": _CONFIG_MAP, "configMap": {"name": _CONFIG_MAP}},
        ],
        node_selector={},
        tolerations=[],
    )
    return {**spec, "restartPolicy": "Never"}
