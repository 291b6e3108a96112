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

from cluster import archives, docker, local, prerequisites
from cluster.builds import Build, teller
from cluster.commands import ClusterError, follow, run, say, step, succeeds
from cluster.settings import KUBECONFIG

KIND = "qmodel"
KIND_SECONDS = 900
"""Its node is an image of its own, which is pulled; ours are gigabytes."""
LOCAL_PREFIX = "localhost/qmodel"


def up() -> None:
    """Make sure that there is a cluster."""
    if local.exists():
        local.up()
    elif context := own_context():
        say(f"Using the cluster of the current context: {context}")
    elif docker.answers() and shutil.which("kind"):
        if not shutil.which("kubectl"):
            message = (
                "A cluster of kind is used by kubectl: https://kubernetes.io/docs/tasks/tools/"
            )
            raise ClusterError(message)
        with step(f"starting a cluster of kind named {KIND}"):
            words = ["kind", "create", "cluster", "--name", KIND, "--wait", "120s"]
            follow(words, teller("kind"), timeout=KIND_SECONDS)
    else:
        local.up()


def down() -> None:
    """Remove the cluster that `up` started; a person's own is left alone."""
    if local.exists():
        local.down()
    elif own_context() == f"kind-{KIND}":
        with step(f"removing the cluster of kind named {KIND}"):
            run(["kind", "delete", "cluster", "--name", KIND], timeout=120)
    else:
        say("There is no cluster that this started.")


def own_context() -> str:
    """Return the current context of kubectl if its cluster answers, else nothing."""
    if not shutil.which("kubectl") or not succeeds(["kubectl", "get", "--raw=/readyz"]):
        return ""
    return run(["kubectl", "config", "current-context"]).strip()


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


def provide(image: Build) -> str:
    """Build an image unless it is built, and bring it to the cluster's nodes.

    Returns
    -------
    str
        What was done, in a few words.
    """
    if local.exists():
        return _provide_here(image)
    if not docker.answers():
        message = "Images for a cluster other than this machine's are built by a docker engine."
        raise ClusterError(message)
    docker.build(image)
    if image_prefix() != LOCAL_PREFIX:
        docker.push(image.reference)
        return "pushed"
    if not own_context().startswith("kind-"):
        message = "Set QMODEL_IMAGE_REGISTRY to a registry that the cluster pulls from."
        raise ClusterError(message)
    _load_into_kind("docker-image", image.reference)
    return "loaded into kind"


def ensure_builder() -> None:
    """Make sure that images can be built here, with or without a cluster."""
    if local.exists() or not docker.answers():
        prerequisites.ensure_builder()


def publish(image: Build, reference: str) -> None:
    """Build an image unless it is built, and push it to a registry under this name."""
    if local.exists() or not docker.answers():
        archives.ensure(image)
        archives.push(image.reference, reference)
        return
    docker.build(replace(image, reference=reference))
    docker.push(reference)


def load(archive: Path) -> None:
    """Load an OCI archive into the cluster."""
    if local.exists():
        archives.load([archive])
        return
    _load_into_kind("image-archive", archive)


def _load_into_kind(what: str, name: str | Path) -> None:
    """Load an image by kind, which says nothing for a minute or more."""
    cluster = own_context().removeprefix("kind-")
    say(f"    loading {name} into kind ...")
    words = ["kind", "load", what, "--name", cluster, name]
    follow(words, teller("kind"), timeout=KIND_SECONDS)


def _provide_here(image: Build) -> str:
    if archives.is_loaded(image.reference):
        return "loaded already"
    built = archives.ensure(image)
    archives.provide(image.reference)
    return "built and loaded" if built else "loaded from the cache"
