"""The project's images: what each is made of, built when that changed, brought to the cluster."""

import hashlib
import re
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from cluster import buildah, target
from cluster.builds import Build
from cluster.commands import ClusterError, run, say
from cluster.settings import REPOSITORY

CONTEXT_SECONDS = 3600
"""Two servers in Go are compiled the first time: minutes, but not on busy cores."""
TAG_DIGITS = 12
AT_ONCE = 2
"""Images that are worked on at once: what installs packages leaves a core to what compiles."""


@dataclass(frozen=True)
class Image:
    """An image: a Dockerfile, the stage of it that is wanted, and the build context."""

    name: str
    dockerfile: str
    stage: str = ""
    context_script: tuple[str, ...] = ()
    """Prints the folder that is the context; without one it is the repository's root."""

    def context(self) -> Path:
        """Return the folder that the Dockerfile's sources are in, made first where need be."""
        if not self.context_script:
            return REPOSITORY
        command = [sys.executable, *self.context_script]
        path = {"PYTHONPATH": f"{REPOSITORY / 'operator'}:{REPOSITORY / 'tests'}"}
        printed = run(
            command, timeout=CONTEXT_SECONDS, folder=REPOSITORY, environment=path, heard=True
        )
        return Path(printed.splitlines()[-1])

    def reference(self, context: Path) -> str:
        """Return the image's name with a hash of its sources as the tag."""
        dockerfile = REPOSITORY / self.dockerfile
        if not dockerfile.exists():
            message = f"{self.dockerfile}: no such file"
            raise ClusterError(message)
        text = dockerfile.read_text()
        digest = hashlib.sha256(f"{self.stage}\n{buildah.BASE}\n{text}".encode())
        copied = [path for name in _copied(text) for path in sorted(context.glob(name))]
        for path in _files(copied):
            digest.update(f"{path.relative_to(context)} {path.stat().st_mode}\n".encode())
            digest.update(_digest(path))
        return f"{target.image_prefix()}/{self.name}:{digest.hexdigest()[:TAG_DIGITS]}"

    def build(self) -> Build:
        """Return what a build of the present sources is told."""
        context = self.context()
        file = REPOSITORY / self.dockerfile
        return Build(self.reference(context), file, self.stage, context)


TABLE = {
    image.name: image
    for image in (
        Image("operator", "images/operator/Dockerfile"),
        Image("llamacpp", "images/llamacpp/Dockerfile", "serve"),
        Image("llamacpp-worker", "images/llamacpp/Dockerfile", "worker"),
        Image("quantizer", "images/quantizer/Dockerfile"),
        Image("autoawq", "images/legacy/Dockerfile", "autoawq"),
        Image("autogptq", "images/legacy/Dockerfile", "autogptq"),
        Image("vllm", "images/vllm/Dockerfile", "cpu"),
        Image("test-stores", "tests/stores/Dockerfile", context_script=("tests/stores",)),
        Image("test-hub", "tests/hub/Dockerfile", context_script=("tests/model", "hub-image")),
    )
}


def ensure(names: Sequence[str]) -> dict[str, str]:
    """Build images and bring them to the cluster, doing only what is missing.

    Parameters
    ----------
    names
        Keys of `TABLE`; none means all.

    Returns
    -------
    dict
        The reference of each image, as pods name it.
    """
    if unknown := set(names) - set(TABLE):
        message = f"{', '.join(unknown)}: no such image; there are {', '.join(TABLE)}"
        raise ClusterError(message)
    images = [TABLE[name] for name in names or TABLE]
    references: dict[str, str] = {}
    with buildah.building(), ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for group in as_completed([pool.submit(_ensure, each) for each in _groups(images)]):
                references |= group.result()
        except BaseException:
            say("  not all images could be had; what is worked on now is brought to its end ...")
            pool.shutdown(cancel_futures=True)
            raise
    return {image.name: references[image.name] for image in images}


def _groups(images: Iterable[Image]) -> list[list[Image]]:
    """Return the images of one Dockerfile together: at once they would make common layers twice."""
    groups: dict[str, list[Image]] = {}
    for image in images:
        groups.setdefault(image.dockerfile, []).append(image)
    return list(groups.values())


def _ensure(images: Sequence[Image]) -> dict[str, str]:
    """Do so with one image after the other."""
    references: dict[str, str] = {}
    for image in images:
        started = time.monotonic()
        build = image.build()
        how = target.provide(build)
        say(f"  {build.reference}: {how}, {time.monotonic() - started:.1f} s")
        references[image.name] = build.reference
    return references


def _copied(dockerfile: str) -> list[str]:
    """Return what COPY, ADD and RUN --mount take from the build context."""
    names: list[str] = []
    for line in re.sub(r"\\\s*\n", " ", dockerfile).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word in {"COPY", "ADD"} and "--from=" not in rest:
            names += [name for name in rest.split()[:-1] if not name.startswith("--")]
        for mount in re.findall(r"--mount=(\S+)", rest if word == "RUN" else ""):
            options = dict(option.partition("=")[::2] for option in mount.split(","))
            if options.get("type", "bind") == "bind" and "from" not in options:
                names.append(options.get("source") or options.get("src") or "*")
    return names


def _files(paths: Iterable[Path]) -> list[Path]:
    """Return all files among and below the paths, without what Python leaves there."""
    found = {file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))}
    return sorted(file for file in found if file.is_file() and "__pycache__" not in file.parts)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
