"""The images of a release, pushed to a registry that clusters pull from; no cluster is needed."""

import json
import time
from collections.abc import Mapping, Sequence

from cluster import buildah, images, target
from cluster.commands import ClusterError, say

RELEASED = tuple(name for name in images.TABLE if not name.startswith("test-"))


def push(registry: str, tag: str, names: Sequence[str]) -> dict[str, str]:
    """Build images, unless they are built, and push them.

    Parameters
    ----------
    registry
        What images are named below: host, port and path.
    tag
        One for all; empty: each has the hash of its sources.
    names
        Of `RELEASED`; none means all.

    Returns
    -------
    dict
        The reference of each image, as pods name it.
    """
    if not registry or "://" in registry or registry.endswith("/"):
        message = (
            f"REGISTRY is {registry!r}; it is what images are named below, such as "
            "registry.example.com/qmodel"
        )
        raise ClusterError(message)
    if unknown := set(names) - set(RELEASED):
        message = f"{', '.join(unknown)}: no image of a release; there are {', '.join(RELEASED)}"
        raise ClusterError(message)
    target.ensure_builder()
    return {name: _push(images.TABLE[name], registry, tag) for name in names or RELEASED}


def _push(image: images.Image, registry: str, tag: str) -> str:
    started = time.monotonic()
    build = image.build()
    reference = f"{registry}/{image.name}:{tag or build.reference.rpartition(':')[2]}"
    with buildah.building():
        target.publish(build, reference)
    say(f"  {reference}: pushed, {time.monotonic() - started:.1f} s")
    return reference


def chart_values(references: Mapping[str, str]) -> str:
    """Return the values by which the chart takes these images, as YAML."""
    lines = ["images:"]
    for name, reference in references.items():
        repository, _, tag = reference.rpartition(":")
        first, *others = name.split("-")
        lines.append(f"  {first}{''.join(word.title() for word in others)}:")
        # Quoted, because a tag of digits alone is no number.
        lines += [f"    repository: {json.dumps(repository)}", f"    tag: {json.dumps(tag)}"]
    return "\n".join(lines)
