"""Which cluster is used: a person's own, one of kind, or the one that this machine runs itself.

1. The cluster of this machine, once it is up.
2. The current context of kubectl, where that answers.
3. With a docker engine and kind: a cluster of kind named `qmodel`, which becomes that context.
4. Else the cluster of this machine is started.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from cluster import archives, buildah, local, prerequisites
from cluster.commands import ClusterError, run, say, step, succeeds
from cluster.settings import KUBECONFIG

KIND = "qmodel"
LOCAL_PREFIX = "localhost/qmodel"
BUILD_SECONDS = 3600


def up() -> None:
    """Make sure that there is a cluster."""
    if local.exists():
        local.up()
    elif context := own_context():
        say(f"Using the cluster of the current context: {context}")
    elif has_docker() and shutil.which("kind"):
        with step(f"starting a cluster of kind named {KIND}"):
            run(["kind", "create", "cluster", "--name", KIND, "--wait", "120s"], timeout=600)
    else:
        local.up()


def down() -> None:
    """Remove the cluster that `up` started; a person's own is left alone."""
    if local.exists():
        local.down()
    elif own_context() == f"kind-{KIND}":
        run(["kind", "delete", "cluster", "--name", KIND], timeout=120)
    else:
        say("There is no cluster that this started.")


def own_context() -> str:
    """Return the current context of kubectl if its cluster answers, else nothing."""
    if not shutil.which("kubectl") or not succeeds(["kubectl", "get", "--raw=/readyz"]):
        return ""
    return run(["kubectl", "config", "current-context"]).strip()


def has_docker() -> bool:
    """Tell whether a docker engine answers."""
    return bool(shutil.which("docker")) and succeeds(["docker", "info"])


def kubectl(words: list[str], stdin: str | None = None, timeout: float = 60) -> str:
    """Run kubectl on the cluster; returns its output."""
    if local.exists():
        return local.kubectl(words, stdin=stdin, timeout=timeout)
    return run(["kubectl", *words], stdin=stdin, timeout=timeout)


def kubeconfig() -> str:
    """Return the text of a kubeconfig with nothing but this cluster in it."""
    if local.exists():
        return KUBECONFIG.read_text()
    if not own_context():
        message = "There is no cluster; `python3 tests/cluster up` starts one."
        raise ClusterError(message)
    return run(["kubectl", "config", "view", "--raw", "--minify", "--flatten"])


def image_prefix() -> str:
    """Return what images are named below: a registry of the person's own, or this machine."""
    return os.environ.get("QMODEL_IMAGE_REGISTRY") or LOCAL_PREFIX


def provide(image: buildah.Build) -> str:
    """Build an image unless it is built, and bring it to the cluster's nodes.

    Returns
    -------
    str
        What was done, in a few words.
    """
    if local.exists():
        return _provide_here(image)
    if not has_docker():
        message = "Images for a cluster other than this machine's are built by a docker engine."
        raise ClusterError(message)
    _docker_build(image)
    if image_prefix() != LOCAL_PREFIX:
        run(["docker", "push", image.reference], timeout=BUILD_SECONDS)
        return "pushed"
    context = own_context()
    if not context.startswith("kind-"):
        message = "Set QMODEL_IMAGE_REGISTRY to a registry that the cluster pulls from."
        raise ClusterError(message)
    cluster = context.removeprefix("kind-")
    run(["kind", "load", "docker-image", "--name", cluster, image.reference], timeout=600)
    return "loaded into kind"


def ensure_builder() -> None:
    """Make sure that images can be built here, with or without a cluster."""
    if local.exists() or not has_docker():
        prerequisites.ensure_builder()


def publish(image: buildah.Build, reference: str) -> None:
    """Build an image unless it is built, and push it to a registry under this name."""
    if local.exists() or not has_docker():
        archives.ensure(image)
        archives.push(image.reference, reference)
        return
    _docker_build(replace(image, reference=reference))
    run(["docker", "push", reference], timeout=BUILD_SECONDS)


def load(archive: Path) -> None:
    """Load an OCI archive into the cluster."""
    if local.exists():
        archives.load([archive])
        return
    cluster = own_context().removeprefix("kind-")
    run(["kind", "load", "image-archive", "--name", cluster, archive], timeout=600)


def _provide_here(image: buildah.Build) -> str:
    if archives.is_loaded(image.reference):
        return "loaded already"
    built = archives.ensure(image)
    archives.provide(image.reference)
    return "built and loaded" if built else "loaded from the cache"


def _docker_build(image: buildah.Build) -> None:
    """Build with docker, pip being told by build arguments where packages come from."""
    settings = [
        f"--build-arg=PIP_{name.upper().replace('-', '_')}={value}"
        for name, value in buildah.pip_settings().items()
        if name.endswith("index-url")
    ]
    run(["docker", "build", *settings, *image.words()], timeout=BUILD_SECONDS)
