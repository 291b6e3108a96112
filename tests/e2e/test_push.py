"""An image of a release, pushed to a registry as clusters pull it."""

from pathlib import Path

import httpx2
import pytest

from cluster import publish
from stores.registry import registry


@pytest.mark.usefixtures("references")  # it is built already
def test_an_image_is_pushed_compressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest that there is; which registries are trusted is the person's own setting."""
    settings = tmp_path / ".config" / "containers" / "registries.conf"
    settings.parent.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    with registry(tmp_path / "registry") as found:
        settings.write_text(f'[[registry]]\nlocation = "{found.host}"\ninsecure = true\n')
        pushed = publish.push(f"{found.host}/qmodel", "1", ["operator"])
        url = f"http://{found.host}/v2/qmodel/operator/manifests/1"
        accepted = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        manifest = httpx2.get(url, headers=accepted).raise_for_status().json()
    assert pushed == {"operator": f"{found.host}/qmodel/operator:1"}
    assert {layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]} == {"gzip"}
