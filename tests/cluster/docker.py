"""Building and pushing images by a docker engine, where one answers."""

import shutil
from collections.abc import Iterator

from cluster.builds import BUILD_SECONDS, Build, pip_settings, teller
from cluster.commands import follow, succeeds

BY_BUILDKIT = {"DOCKER_BUILDKIT": "1"}
"""The Dockerfiles mount caches, which docker's builder of before version 23 does not know."""


def answers() -> bool:
    """Tell whether a docker engine answers."""
    return bool(shutil.which("docker")) and succeeds(["docker", "info"])


def build(image: Build) -> None:
    """Build an image, telling how far it is."""
    words = ["docker", "build", "--progress=plain", *_pip_arguments(), *image.words()]
    follow(words, teller(image.name), timeout=BUILD_SECONDS, environment=BY_BUILDKIT)


def push(reference: str) -> None:
    """Push an image to the registry that its name begins with."""
    follow(["docker", "push", reference], teller(reference), timeout=BUILD_SECONDS)


def _pip_arguments() -> Iterator[str]:
    """Return where pip finds packages: what a build in a container can reach of its settings."""
    for name, value in pip_settings().items():
        urls = [place for place in value.split() if "://" in place]
        if urls and name in {"extra-index-url", "find-links", "index-url"}:
            yield f"--build-arg=PIP_{name.upper().replace('-', '_')}={' '.join(urls)}"
