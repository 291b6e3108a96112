import hashlib
import os
from io import StringIO
from pathlib import Path

import pytest

from qmodel.worker import files, manifest
from qmodel.worker.errors import ArtifactDamaged, DiskFull
from qmodel.worker.progress import Progress


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    target = tmp_path / "artifact"
    with files.staged(target) as partial:
        (partial / "part").mkdir(mode=0o700)
        (partial / "part" / "weights").write_bytes(b"w" * 5_000_000)
        (partial / "config").write_bytes(b"c")
        (partial / "config").chmod(0o600)
        manifest.write_manifest(
            partial, {"from": "here"}, {"config": hashlib.sha256(b"c").hexdigest()}
        )
    return target


def test_a_staged_folder_appears_whole_and_readable_by_others(artifact: Path) -> None:
    assert manifest.complete(artifact)
    assert not artifact.with_name("artifact.partial").exists()
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in artifact.rglob("*")}
    assert modes == {
        "part": "0o755",
        "weights": "0o644",
        "config": "0o644",
        "manifest.json": "0o644",
    }


def fail_half_way(target: Path, *, resume: bool) -> None:
    with files.staged(target, resume=resume) as partial:
        (partial / "half").touch()
        raise RuntimeError


def test_a_failed_block_leaves_the_old_target(artifact: Path) -> None:
    with pytest.raises(RuntimeError):
        fail_half_way(artifact, resume=False)
    assert manifest.complete(artifact)
    assert not artifact.with_name("artifact.partial").exists()


def test_a_resumed_block_keeps_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "source"
    with pytest.raises(RuntimeError):
        fail_half_way(target, resume=True)
    with files.staged(target, resume=True) as partial:
        assert (partial / "half").exists()
    assert (target / "half").exists()


def test_the_digest_stands_for_the_stored_manifest(artifact: Path) -> None:
    stored = (artifact / "manifest.json").read_bytes()
    loaded = manifest.load_manifest(artifact)
    assert loaded.digest == hashlib.sha256(stored).hexdigest()
    assert [file.path for file in loaded.files] == ["config", "part/weights"]
    assert loaded.total_bytes == 5_000_001
    assert loaded.provenance == {"from": "here"}


def test_verify_reads_everything(artifact: Path) -> None:
    lines = StringIO()
    found = manifest.verify(artifact, Progress("verify", lines))
    assert found == manifest.load_manifest(artifact)
    assert '"percent":100' in lines.getvalue()


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("flipped byte", lambda folder: _flip(folder / "part" / "weights"), "sha256"),
        ("truncated", lambda folder: os.truncate(folder / "part" / "weights", 7), "7 bytes"),
        ("gone", lambda folder: (folder / "config").unlink(), "config is missing"),
        ("no manifest", lambda folder: (folder / "manifest.json").unlink(), "is missing"),
        ("no JSON", lambda folder: (folder / "manifest.json").write_text("{"), "not a manifest"),
        ("a link", lambda folder: _link(folder / "config"), "not a regular file"),
        (
            "climbing",
            lambda folder: _replace(folder / "manifest.json", '"config"', '"../config"'),
            "leaves the folder",
        ),
        ("huge", lambda folder: os.truncate(folder / "manifest.json", 1 << 40), "that large"),
    ],
)
def test_damage_is_named(artifact: Path, name: str, damage: object, told: str) -> None:
    assert callable(damage), name
    damage(artifact)
    with pytest.raises(ArtifactDamaged, match=told):
        manifest.verify(artifact, Progress("verify", StringIO()))


def test_a_full_volume_is_refused_beforehand(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match=r"needs 1152921504606846976 bytes .* bytes free"):
        files.require_space(tmp_path / "not" / "there", 1 << 60)


def test_a_volume_that_fills_up_is_named() -> None:
    full = Path("/dev/full")
    told = r"/dev/full: \d+ bytes are free, 9 bytes more"
    with pytest.raises(DiskFull, match=told), files.naming_full_disk(full, 9):
        full.write_bytes(b"x")


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").touch()
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert files.regular_files(tmp_path) == [tmp_path / "real"]
    files.remove(tmp_path / "link")
    assert Path("/etc/passwd").exists()


def _flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"x")


def _link(path: Path) -> None:
    path.rename(path.with_name("other"))
    path.symlink_to("other")


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))
