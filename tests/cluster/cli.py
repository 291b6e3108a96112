"""A Kubernetes for the demo and the tests: `python3 tests/cluster VERB`."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from cluster import (
    gpus,
    images,
    kwok,
    local,
    prerequisites,
    processes,
    publish,
    target,
    tools,
)
from cluster.commands import ClusterError, say
from cluster.settings import KUBECONFIG, LOGS

Action = Callable[[argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python3 tests/cluster", description=__doc__)
    _add_verbs(parser.add_subparsers(metavar="VERB", required=True))
    chosen = parser.parse_args(arguments)
    action: Action = chosen.action
    try:
        action(chosen)
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    return 0


def _add_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    def verb(name: str, text: str, action: Action) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(action=action)
        return added

    verb("up", "make sure that there is a cluster", lambda _: target.up())
    verb("down", "remove the cluster that `up` started", lambda _: target.down())
    verb("status", "say which cluster is used and what of it runs", _status)
    verb("prerequisites", "install missing packages", lambda _: prerequisites.ensure())
    show = verb("kubeconfig", "print the cluster's kubeconfig", _kubeconfig)
    show.add_argument("--path", action="store_true", help="print the path of the file instead")
    verb("tools", "print PATH with the kubectl and helm of the cluster", _tools)
    load = verb("load", "load OCI archives into the cluster", _load)
    load.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    build = verb("images", "build the project's images and bring them to the cluster", _images)
    build.add_argument("names", nargs="*", metavar="NAME", help=", ".join(images.TABLE))
    build.add_argument("--print-refs", action="store_true", help="print NAME=REFERENCE lines")
    push = verb("push", "push the images of a release, print the chart's values", _push)
    push.add_argument("registry", help="what images are named below")
    push.add_argument("names", nargs="*", metavar="NAME", help=", ".join(publish.RELEASED))
    push.add_argument("--tag", default="", help="of all, instead of the hash of each one's sources")
    fake = verb("fake-gpu", "let a real node claim GPUs; 0 takes them away", _fake_gpu)
    fake.add_argument("node")
    fake.add_argument("count", type=int)
    _add_gpu(fake)
    nodes = verb("kwok-up", "add nodes that only pretend to run pods", _kwok_up)
    nodes.add_argument("--nodes", type=int, default=1, metavar="N")
    nodes.add_argument("--config", type=Path, help="Stages that end pods, instead of kwok's own")
    nodes.add_argument("--gpu", type=int, default=0, metavar="COUNT", help="GPUs of each node")
    _add_gpu(nodes)
    verb("kwok-down", "remove those nodes", lambda _: kwok.down())


def _add_gpu(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gpu-product", default="NVIDIA-L4", metavar="NAME")
    parser.add_argument("--gpu-memory", type=int, default=23034, metavar="MIB")


def _status(_: argparse.Namespace) -> None:
    if local.exists():
        running = ", ".join(process.name for process in processes.running())
        state = "ready" if local.is_running() else "not whole: run `up`"
        print(f"this machine's cluster: {state}\nprocesses: {running}\nlogs: {LOGS}")
    else:
        print(target.own_context() or "no cluster")


def _kubeconfig(chosen: argparse.Namespace) -> None:
    if chosen.path and local.exists():
        print(KUBECONFIG)
    else:
        print(target.kubeconfig(), end="")


def _tools(_: argparse.Namespace) -> None:
    print(tools.search_path())


def _load(chosen: argparse.Namespace) -> None:
    for archive in chosen.archives:
        target.load(archive)


def _images(chosen: argparse.Namespace) -> None:
    references = images.ensure(chosen.names)
    if chosen.print_refs:
        for name, reference in references.items():
            print(f"{name}={reference}")


def _push(chosen: argparse.Namespace) -> None:
    print(publish.chart_values(publish.push(chosen.registry, chosen.tag, chosen.names)))


def _fake_gpu(chosen: argparse.Namespace) -> None:
    offer = gpus.Gpus(chosen.count, chosen.gpu_product, chosen.gpu_memory)
    gpus.pretend(chosen.node, offer)


def _kwok_up(chosen: argparse.Namespace) -> None:
    offer = gpus.Gpus(chosen.gpu, chosen.gpu_product, chosen.gpu_memory) if chosen.gpu else None
    kwok.up(chosen.nodes, chosen.config, offer)
