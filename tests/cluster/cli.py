"""The command line: `python3 tests/cluster VERB`."""

import argparse
from collections.abc import Callable, Sequence

from cluster import images, local, prerequisites
from cluster.commands import ClusterError, say
from cluster.settings import KUBECONFIG


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    options = _parser().parse_args(arguments)
    action: Callable[[argparse.Namespace], None] = options.action
    try:
        action(options)
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 tests/cluster", description=__doc__)
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, text: str, action: Callable[[argparse.Namespace], None]):
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(action=action)
        return added

    verb("up", "start the cluster", lambda _: local.up())
    verb("down", "stop and remove the cluster", lambda _: local.down())
    verb("prerequisites", "install missing packages", lambda _: prerequisites.ensure())
    build = verb("images", "build and load the project's images", _images)
    build.add_argument("names", nargs="*", metavar="NAME")
    build.add_argument("--print-refs", action="store_true", help="print NAME=REFERENCE lines")
    return parser


def _images(options: argparse.Namespace) -> None:
    references = images.ensure(options.names)
    if options.print_refs:
        for name, reference in references.items():
            print(f"{name}={reference}")
