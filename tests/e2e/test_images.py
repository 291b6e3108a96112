"""What the operator says of its images, held against the images; and that they can be pushed."""

from pathlib import Path

import httpx2
import pytest

from cluster import archives, local, node
from e2e import pods
from e2e.models import Models
from qmodel.planner.cpu_architectures import NOT_ON_CPU
from qmodel.worker.inspect.vllm_architectures import VLLM
from stores.registry import registry

SECONDS = 60
NAMES = "import json; print(*json.load(open('/opt/vllm/missing.json')), sep='\\n')"


def test_what_vllm_cannot_import_on_a_cpu_is_refused(
    models: Models, references: dict[str, str]
) -> None:
    container = {
        "name": "main",
        "image": references["vllm"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", NAMES],
    }
    spec = {"restartPolicy": "Never", "containers": [container]}
    missing = pods.run(models, "missing", spec, SECONDS).split()
    assert frozenset(missing) & frozenset(VLLM) == NOT_ON_CPU


@pytest.mark.skipif(not local.exists(), reason="images are not in this machine's cache")
def test_a_cached_image_is_pushed_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smallest that there is; where a registry is trusted is the person's own setting."""
    settings = tmp_path / ".config" / "containers" / "registries.conf"
    settings.parent.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    with registry(tmp_path / "registry") as found:
        settings.write_text(f'[[registry]]\nlocation = "{found.host}"\ninsecure = true\n')
        archives.push(node.PAUSE, f"{found.host}/qmodel/pause:1")
        url = f"http://{found.host}/v2/qmodel/pause/manifests/1"
        accepted = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        manifest = httpx2.get(url, headers=accepted).raise_for_status().json()
    assert {layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]} == {"gzip"}
