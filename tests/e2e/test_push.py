"""An image of this machine's cache, pushed to a registry as clusters pull it."""

from pathlib import Path

import httpx2
import pytest

from cluster import archives, local, node
from stores.registry import registry


@pytest.mark.skipif(not local.exists(), reason="images are not in this machine's cache")
def test_a_cached_image_is_pushed_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smallest that there is; which registries are trusted is the person's own setting."""
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
